use super::*;

const LAYOUTS: [(&str, StatLayout); 6] = [
    ("x86_64", X86_64),
    ("aarch64", AARCH64),
    ("i386", I386),
    ("i386 stat64", I386_64),
    ("i386 old", I386_OLD),
    ("statx", STATX),
];

/// A structure filled with 0x11 but for what the patches put there.
fn patched(layout: &StatLayout, patches: &[Patch]) -> Vec<u8> {
    let mut bytes = vec![0x11; layout.size];
    for patch in patches {
        bytes[patch.offset..patch.offset + patch.bytes().len()].copy_from_slice(patch.bytes());
    }
    bytes
}

#[test]
fn every_layout_has_the_size_the_compiler_gave_it() {
    let sizes = LAYOUTS.map(|(_, layout)| layout.size);
    assert_eq!(sizes, [144, 128, 64, 96, 32, 256]);
    assert_eq!(sizes.into_iter().max(), Some(LARGEST));
}

#[test]
fn what_is_put_into_a_structure_is_read_from_it() {
    for (name, layout) in LAYOUTS {
        let bytes = patched(&layout, &[layout.put_uid(1000), layout.put_gid(39), layout.put_mode(0o104_755)]);
        let reported = layout.read(&bytes);
        assert_eq!((reported.uid, reported.gid, reported.mode), (1000, 39, 0o104_755), "{name}");
    }
}

#[test]
fn a_patch_touches_its_own_field_and_no_other_byte() {
    let width = |layout: &StatLayout| if layout.size <= 64 { 2 } else { 4 };
    for (name, layout) in LAYOUTS {
        let bytes = patched(&layout, &[layout.put_uid(0x2222_2222), layout.put_gid(0x2222_2222)]);
        let touched = bytes.iter().filter(|&&byte| byte != 0x11).count();
        assert_eq!(touched, 2 * width(&layout), "{name}");
    }
}

#[test]
fn an_id_that_does_not_fit_into_16_bits_is_65534() {
    for (layout, expected) in [(I386_OLD, 65534), (I386, 65534), (I386_64, 100_000), (X86_64, 100_000)] {
        let bytes = patched(&layout, &[layout.put_uid(100_000), layout.put_gid(100_000)]);
        assert_eq!((layout.read(&bytes).uid, layout.read(&bytes).gid), (expected, expected));
    }
}

#[test]
fn a_device_number_is_written_in_the_encoding_of_the_structure() {
    let device = DeviceNumber { major: 1, minor: 0x103 };
    let at = |layout: &StatLayout, offset: usize, width: usize| {
        Field::new(offset, width).get(&patched(layout, &layout.put_device(device)))
    };
    assert_eq!(at(&X86_64, 40, 8), 0x10_0103);
    assert_eq!(at(&AARCH64, 32, 8), 0x10_0103);
    assert_eq!(at(&I386, 16, 4), 0x10_0103);
    assert_eq!(at(&I386_64, 32, 8), 0x10_0103);
    assert_eq!(at(&I386_OLD, 12, 2), 0x103);
    assert_eq!((at(&STATX, 128, 4), at(&STATX, 132, 4)), (1, 0x103));
    for (layout, offset, width) in [
        (X86_64, 48, 8),
        (AARCH64, 48, 8),
        (I386, 20, 4),
        (I386_64, 44, 8),
        (I386_OLD, 16, 4),
        (STATX, 40, 8),
    ] {
        assert_eq!(at(&layout, offset, width), 0, "the length");
    }
}

#[test]
fn every_abi_reports_the_same_device_and_change_time_for_one_inode() {
    let mut bytes = [0; 256];
    bytes[136..140].copy_from_slice(&259_u32.to_le_bytes());
    bytes[140..144].copy_from_slice(&0x103_u32.to_le_bytes());
    bytes[96..104].copy_from_slice(&0x1_6789_ABCD_u64.to_le_bytes());
    bytes[104..108].copy_from_slice(&999_u32.to_le_bytes());
    let statx = Statx::parse(&bytes);
    let mut wide = [0; 144];
    wide[..8].copy_from_slice(&statx.dev.to_le_bytes());
    wide[104..112].copy_from_slice(&0x1_6789_ABCD_u64.to_le_bytes());
    wide[112..120].copy_from_slice(&999_u64.to_le_bytes());
    let mut narrow = [0; 96];
    narrow[..8].copy_from_slice(&statx.dev.to_le_bytes());
    narrow[80..84].copy_from_slice(&0x6789_ABCD_u32.to_le_bytes());
    narrow[84..88].copy_from_slice(&999_u32.to_le_bytes());
    for reported in [STATX.read(&bytes), X86_64.read(&wide), I386_64.read(&narrow)] {
        assert_eq!((reported.dev, reported.ctime), (Some(statx.dev), Some(statx.ctime)));
    }
    assert_eq!(statx.dev, u64::from(DeviceNumber { major: 259, minor: 0x103 }.encode()));
}

#[test]
fn the_oldest_structure_admits_that_it_cannot_tell_the_device_or_the_time() {
    let reported = I386_OLD.read(&[0xFF; 32]);
    assert_eq!((reported.dev, reported.ctime), (None, None));
}

#[test]
fn a_birth_time_counts_only_where_the_mask_has_it() {
    let mut bytes = [0; 256];
    bytes[80..88].copy_from_slice(&(-1_i64).to_le_bytes());
    bytes[88..92].copy_from_slice(&5_u32.to_le_bytes());
    assert_eq!(Statx::parse(&bytes).birth, 0);
    bytes[..4].copy_from_slice(&Statx::BTIME.to_le_bytes());
    assert_eq!(Statx::parse(&bytes).birth, -999_999_995);
}

#[test]
fn a_structure_cut_short_reads_as_zeros() {
    assert_eq!(X86_64.read(&[0xFF; 30]).gid, 0);
}

#[test]
fn what_is_made_from_a_statx_has_all_its_fields() {
    // Every byte another, but for the high halves of what is narrower elsewhere.
    let mut statx: [u8; 256] = std::array::from_fn(|index| index as u8);
    for high in [30, 31, 68, 69, 70, 71, 100, 101, 102, 103, 116, 117, 118, 119] {
        statx[high] = 0;
    }
    let value = |offset: usize, width: usize| Field::new(offset, width).get(&statx);
    let told = [(64, 8), (72, 4), (112, 8), (120, 4), (96, 8), (104, 4), (16, 4), (4, 4), (48, 8), (40, 8)];
    for (layout, fields) in [
        (
            X86_64,
            [(72, 8), (80, 8), (88, 8), (96, 8), (104, 8), (112, 8), (16, 8), (56, 8), (64, 8), (48, 8)],
        ),
        (
            AARCH64,
            [(72, 8), (80, 8), (88, 8), (96, 8), (104, 8), (112, 8), (20, 4), (56, 4), (64, 8), (48, 8)],
        ),
        (I386_64, [(64, 4), (68, 4), (72, 4), (76, 4), (80, 4), (84, 4), (20, 4), (52, 4), (56, 8), (44, 8)]),
    ] {
        let bytes = layout.fill(&statx);
        for ((offset, width), (from, length)) in fields.into_iter().zip(told) {
            assert_eq!(Field::new(offset, width).get(&bytes), value(from, length), "at {offset}");
        }
        assert_eq!(layout.read(&bytes), STATX.read(&statx));
    }
}
