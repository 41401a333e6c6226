use super::*;

#[test]
fn flags_are_those_of_chattr_in_every_structure() {
    let both = rules::FROZEN | 0x40;
    assert_eq!(FLAGS.known(both), both);
    assert_eq!(EXTENDED.known(0x8 | 0x10 | 0x80), both);
    assert_eq!(EXTENDED.flip(0x80, rules::IMMUTABLE), 0x88);
    assert_eq!(EXTENDED.flip(0x8000_0018, rules::FROZEN), 0x8000_0000, "others stay as they are");
    assert_eq!(FLAGS32.flip(0x8_0010, rules::IMMUTABLE), 0x8_0000);
}
