//! The program means what the table says: compared by running it.

use proptest::prelude::*;

use super::compile::{NONE, RET_ALLOW, RET_ERRNO, RET_TRACE, RET_USER_NOTIF, X32_BIT};
use super::interpreter::{self, Data, Outcome};
use super::{ABIS, Instruction, MAX_INSTRUCTIONS, bytes, compile, program};
use crate::abi::{Abi, MARK, Numbers, WHOLE_MARK, window};
use crate::syscalls::{Guest, Operation, Room, SCRATCH_BYTES, Stage, Stages, TABLE, Test, Tried, Verdict};

fn run(program: &[Instruction], arch: u32, number: u32, args: &[u64; 6]) -> Option<Outcome> {
    run_at(ELSEWHERE, program, arch, number, args)
}

fn run_at(pointer: u64, program: &[Instruction], arch: u32, number: u32, args: &[u64; 6]) -> Option<Outcome> {
    interpreter::run(program, &Data { number, arch, pointer, args: *args })
}

/// Where calls come from: text, the first and the last byte of what answers inside, and the bytes beside it.
const POINTERS: [u64; 5] = [
    ELSEWHERE,
    window::CODE as u64 | 5 << window::BITS,
    window::CODE as u64 + 0x3fff,
    window::CODE as u64 - 1,
    window::CODE as u64 + 0x4000,
];
const ELSEWHERE: u64 = 0x1234_5678_9abc;

/// Argument values next to every edge a test knows.
const EDGES: [u64; 25] = [
    0,
    1,
    0x12,
    0xfffe,
    0xffff,
    0x1_0000,
    0xffff_ffff,
    0xffff_ffff_ffff_ffff,
    0x1_0000_0000,
    0x5_0000_ffff,
    0o020_644,
    0o060_600,
    0o100_644,
    0x0080_0011,
    0o301,
    MARK as u64,
    (MARK as u64) | 7 << 32,
    7 | (MARK as u64) << 32,
    WHOLE_MARK,
    window::FIRST as u64,
    (window::FIRST + window::LENGTH) as u64 | 7 << 32,
    (window::FIRST + window::LENGTH - 1) as u64,
    (1 << window::BITS) - window::LENGTH as u64,
    (1 << window::BITS) - window::LENGTH as u64 + 1,
    window::FIRST as u64 - 0x12,
];

fn nothing(_: &mut dyn Guest) -> Verdict {
    Verdict::Run
}

const TESTS: [Test; 12] = [
    Test::Always,
    Test::AnyBits { arg: 1, mask: 0o100 },
    Test::AnyOf { arg: 5, values: &[7] },
    Test::AnyOf { arg: 0, values: &[1, 0x12, 0xffff, 0xffff_ffff] },
    Test::AnyBits { arg: 3, mask: 0x0080_0000 },
    Test::DeviceNode { mode: 1, dev: 2 },
    Test::NoBits { arg: 1, mask: 0o170_000 },
    Test::AllBits { arg: 1, mask: 0o300 },
    Test::AllBits { arg: 5, mask: 1 },
    Test::ToRoot { ids: 1 },
    Test::Meets { start: 0, length: 1 },
    Test::Over { start: 4, length: 2, flags: 3, mask: 2 },
];

const ROOMS: [Option<Room>; 5] =
    [Some(Room { arg: 5, upper: false }), None, None, Some(Room { arg: 2, upper: true }), None];

const STOPS: [&[(Stage, Test)]; 13] = [
    &[(Stage::Base, TESTS[10]), (Stage::Base, TESTS[11]), (Stage::Base, TESTS[1])],
    &[(Stage::Base, TESTS[0])],
    &[(Stage::Base, TESTS[1]), (Stage::Ownership, TESTS[0])],
    &[(Stage::Base, TESTS[2]), (Stage::Base, TESTS[4])],
    &[(Stage::Base, TESTS[3]), (Stage::Identity, TESTS[5])],
    &[(Stage::Identity, TESTS[4])],
    &[(Stage::Base, TESTS[5]), (Stage::Base, TESTS[3]), (Stage::Base, TESTS[1])],
    &[(Stage::Base, TESTS[5])],
    &[(Stage::Devices, TESTS[6]), (Stage::Base, TESTS[6]), (Stage::Base, TESTS[1])],
    &[(Stage::Ownership, TESTS[0]), (Stage::Notify, TESTS[7])],
    &[(Stage::Identity, TESTS[0]), (Stage::NotifyIdentity, TESTS[8])],
    &[(Stage::Base, TESTS[0]), (Stage::Notify, TESTS[9])],
    &[],
];

/// A table that uses every test at these numbers; far larger than the real one where asked.
fn sample(numbers: impl IntoIterator<Item = u32>) -> Vec<Operation> {
    let row = |(index, number): (usize, u32)| Operation {
        name: "sample",
        numbers: Numbers { x86_64: Some(number), i386: Some(number ^ 1), aarch64: Some(number ^ 2) },
        handler: nothing,
        stops: STOPS[index % STOPS.len()],
        room: ROOMS[index % ROOMS.len()],
        tried: if index % 7 == 3 { Tried::Untold } else { Tried::Never },
    };
    numbers.into_iter().enumerate().map(row).collect()
}

/// What the table says of a call: the action, and whether the kernel may find it without arguments.
fn defined(
    table: &[Operation],
    stage: Stage,
    abi: Abi,
    number: u32,
    (args, pointer): (&[u64; 6], u64),
) -> (u32, bool) {
    if abi == Abi::X86_64 && number >= X32_BIT {
        return (if stage.refuses() && number != NONE { RET_ERRNO | 38 } else { RET_ALLOW }, true);
    }
    let row = table.iter().position(|row| row.numbers.of(abi) == Some(number));
    let is_untold = |row: usize| table[row].tried == Tried::Untold && Stages::LISTENING.contains(stage);
    let tests: Vec<Test> = row
        .iter()
        .filter(|&&row| !is_untold(row))
        .flat_map(|&row| table[row].stops)
        .filter(|stop| stop.0 == stage || stage.only().is_first() && stop.0 == Stage::Base)
        .map(|stop| stop.1)
        .collect();
    let room = row.and_then(|row| table[row].room);
    let marked = room.is_some_and(|Room { arg, upper }| {
        let arg = args[usize::from(arg)];
        let is_believed = abi != Abi::X86_64 || window::has_code(pointer) || arg == WHOLE_MARK;
        if upper { (arg >> 32) as u32 == MARK } else { arg as u32 == MARK && is_believed }
    });
    let stops = !marked && tests.iter().any(|test| test.matches(args));
    let action = match row {
        Some(_) if Stages::LISTENING.contains(stage) && stops => RET_USER_NOTIF,
        Some(row) if stops => RET_TRACE | row as u32,
        _ => RET_ALLOW,
    };
    (action, tests.is_empty() || tests.first() == Some(&Test::Always) && room.is_none())
}

fn agree(table: &[Operation], program: &[Instruction], stage: Stage, abi: Abi, number: u32, args: &[u64; 6]) {
    for pointer in POINTERS {
        let outcome = run_at(pointer, program, abi.audit_arch(), number, args).expect("the program ends");
        let expected = defined(table, stage, abi, number, (args, pointer));
        assert_eq!(
            (outcome.action, outcome.constant),
            expected,
            "{stage:?} {abi:?} {number} {args:x?} {pointer:x}: action {:#x}",
            outcome.action
        );
    }
}

fn agree_everywhere(table: &[Operation], abis: &[Abi]) {
    for stage in Stage::ALL {
        let program = compile::program(table, abis, stage, Stages::NONE);
        for &abi in abis {
            for number in (0..600).chain([X32_BIT - 1, X32_BIT, X32_BIT + 59, u32::MAX]) {
                for (index, &edge) in EDGES.iter().enumerate() {
                    agree(table, &program, stage, abi, number, &[edge; 6]);
                    let rotated = std::array::from_fn(|arg| EDGES[(index + arg * 5) % EDGES.len()]);
                    agree(table, &program, stage, abi, number, &rotated);
                }
            }
        }
    }
}

#[test]
fn the_real_table_compiles_to_what_it_says() {
    agree_everywhere(TABLE, ABIS);
}

#[test]
fn every_test_and_every_stage_compile_to_what_they_say() {
    agree_everywhere(&sample((0..500).step_by(7)), &[Abi::X86_64, Abi::I386]);
    agree_everywhere(&sample((0..400).step_by(3)), &[Abi::Aarch64]);
}

#[test]
fn jumps_farther_than_255_instructions_arrive() {
    let table = sample(0..500);
    assert!(compile::program(&table, &[Abi::X86_64, Abi::I386], Stage::Base, Stages::NONE).len() > 2 * 255);
    agree_everywhere(&table, &[Abi::X86_64, Abi::I386]);
}

#[test]
fn a_list_of_values_longer_than_a_jump_is_searched_to_its_end() {
    const VALUES: [u32; 300] = {
        let mut values = [0; 300];
        let mut index = 0;
        while index < 300 {
            values[index] = 2 * index as u32;
            index += 1;
        }
        values
    };
    let stops: &'static [(Stage, Test)] = &[(Stage::Base, Test::AnyOf { arg: 2, values: &VALUES })];
    let table = [Operation { stops, ..sample([7])[0] }];
    let program = compile::program(&table, &[Abi::X86_64], Stage::Base, Stages::NONE);
    for value in 0..602 {
        agree(&table, &program, Stage::Base, Abi::X86_64, 7, &[9, 9, value, 9, 9, 9]);
    }
}

#[test]
fn calls_of_an_unknown_architecture_are_not_implemented_in_base_and_left_alone_later() {
    for stage in Stage::ALL {
        let action = if stage.refuses() { RET_ERRNO | 38 } else { RET_ALLOW };
        for arch in [0, 0x4000_0028, Abi::X86_64.audit_arch() + 1, u32::MAX] {
            let outcome = run(program(stage), arch, 59, &[0; 6]).expect("the program ends");
            assert_eq!(outcome.action, action, "{stage:?} {arch:#x}");
        }
    }
}

#[test]
fn programs_fit_into_the_kernel_and_are_walked_in_few_steps() {
    for stage in Stage::ALL {
        let program = program(stage);
        assert!(program.len() <= MAX_INSTRUCTIONS, "{stage:?}: {} instructions", program.len());
        // The first process loads these itself, before it is the command.
        let fits = stage.refuses() || 16 + 8 * program.len() <= SCRATCH_BYTES;
        assert!(fits, "{stage:?} does not fit into a guest's scratch");
        let steps = |number| run(program, ABIS[0].audit_arch(), number, &[0; 6]).map(|outcome| outcome.steps);
        let longest = (0..600).filter_map(steps).max().expect("some number");
        // On a host's root directory looks are told as well, from a run's start.
        let most = if stage == Stage::NotifyForeign { 29 } else { 28 };
        assert!(longest <= most, "{stage:?}: {longest} steps");
        println!("{stage:?}: {} instructions, at most {longest} steps", program.len());
    }
}

#[test]
fn an_instruction_is_laid_out_as_the_kernel_reads_it() {
    let instruction = Instruction { code: 0x0615, jt: 3, jf: 4, k: 0x0102_0304 };
    assert_eq!(size_of::<Instruction>(), 8);
    assert_eq!(instruction.to_bytes(), [0x15, 0x06, 3, 4, 4, 3, 2, 1]);
    assert_eq!(bytes(&[instruction; 3]).len(), 24);
}

#[test]
fn the_comparison_notices_a_program_that_is_wrong() {
    let table = sample(0..20);
    let right = compile::program(&table, &[Abi::X86_64], Stage::Base, Stages::NONE);
    let differs = |program: &[Instruction]| {
        (0..30).any(|number| {
            EDGES.iter().any(|&edge| {
                let found = run(program, Abi::X86_64.audit_arch(), number, &[edge; 6])
                    .map(|outcome| (outcome.action, outcome.constant));
                found != Some(defined(&table, Stage::Base, Abi::X86_64, number, (&[edge; 6], ELSEWHERE)))
            })
        })
    };
    assert!(!differs(&right));
    let returns = right.iter().position(|at| at.k == RET_TRACE).expect("row 0 stops");
    let mut wrong = right.clone();
    wrong[returns].k = RET_ALLOW;
    assert!(differs(&wrong));
}

fn argument_value() -> impl Strategy<Value = u64> {
    prop_oneof![prop::sample::select(EDGES.to_vec()), any::<u64>(), (0u64..0x2_0000)]
}

proptest! {
    #[test]
    fn any_call_gets_what_the_table_says(
        number in 0u32..600,
        args in prop::array::uniform6(argument_value()),
        stage in prop::sample::select(Stage::ALL.to_vec()),
        abi in prop::sample::select(ABIS.to_vec()),
    ) {
        agree(TABLE, program(stage), stage, abi, number, &args);
    }

    #[test]
    fn any_table_compiles_to_what_it_says(
        numbers in prop::collection::btree_set(0u32..600, 0..120),
        calls in prop::collection::vec((0u32..600, prop::array::uniform6(argument_value())), 40),
        stage in prop::sample::select(Stage::ALL.to_vec()),
    ) {
        let table = sample(numbers);
        let program = compile::program(&table, &Abi::ALL, stage, Stages::NONE);
        for (number, args) in &calls {
            for abi in Abi::ALL {
                agree(&table, &program, stage, abi, *number, args);
            }
        }
    }
}

/// Instructions in words: code, jt, jf, k.
fn words(words: &[[u32; 4]]) -> Vec<Instruction> {
    let instruction =
        |&[code, jt, jf, k]: &[u32; 4]| Instruction { code: code as u16, jt: jt as u8, jf: jf as u8, k };
    words.iter().map(instruction).collect()
}

#[test]
fn every_instruction_of_a_guests_filter_is_understood() {
    let data = Data {
        number: 39,
        arch: 7,
        pointer: 0x1_0000_0002,
        args: [0xa_0000_000b, 0, 0, 0, 0, 0xc_0000_000d],
    };
    let ret_a = [0x16, 0, 0, 0];
    let load = |k| [0x20, 0, 0, k];
    let cases: &[(&[[u32; 4]], u32)] = &[
        (&[load(0), ret_a], 39),
        (&[load(4), ret_a], 7),
        (&[load(8), ret_a], 2),
        (&[load(12), ret_a], 1),
        (&[load(16), ret_a], 0xb),
        (&[load(20), ret_a], 0xa),
        (&[load(60), ret_a], 0xc),
        (&[[0x80, 0, 0, 0], ret_a], 64),
        (&[[0x81, 0, 0, 0], [0x87, 0, 0, 0], ret_a], 64),
        (&[[0x00, 0, 0, 5], [0x07, 0, 0, 0], [0x00, 0, 0, 3], [0x0c, 0, 0, 0], ret_a], 8),
        (&[[0x00, 0, 0, 5], [0x14, 0, 0, 6], ret_a], u32::MAX),
        (&[[0x00, 0, 0, 5], [0x24, 0, 0, 0x4000_0001], ret_a], 0x4000_0005),
        (&[[0x00, 0, 0, 7], [0x34, 0, 0, 2], ret_a], 3),
        (&[[0x00, 0, 0, 7], [0x01, 0, 0, 0], [0x3c, 0, 0, 0], ret_a], 0),
        (&[[0x00, 0, 0, 4], [0x44, 0, 0, 3], [0x54, 0, 0, 6], [0xa4, 0, 0, 0xf], ret_a], 9),
        (&[[0x00, 0, 0, 1], [0x64, 0, 0, 4], [0x84, 0, 0, 0], ret_a], 0xffff_fff0),
        (&[[0x00, 0, 0, 0x80], [0x01, 0, 0, 35], [0x7c, 0, 0, 0], ret_a], 0x10),
        (&[[0x00, 0, 0, 9], [0x02, 0, 0, 15], [0x61, 0, 0, 15], [0x03, 0, 0, 1], [0x60, 0, 0, 1], ret_a], 9),
        (&[[0x05, 0, 0, 1], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 2),
        (&[load(0), [0x15, 0, 1, 39], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 1),
        (&[load(0), [0x25, 0, 1, 39], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 2),
        (&[load(0), [0x01, 0, 0, 39], [0x3d, 0, 1, 0], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 1),
        (&[load(0), [0x45, 0, 1, 0x10], [0x06, 0, 0, 1], [0x06, 0, 0, 2]], 2),
    ];
    for (program, expected) in cases {
        let outcome = interpreter::run(&words(program), &data);
        assert_eq!(outcome.map(|outcome| outcome.action), Some(*expected), "{program:x?}");
    }
    for refused in [
        &[load(0)][..],
        &[load(2), ret_a],
        &[load(64), ret_a],
        &[[0x60, 0, 0, 16], ret_a],
        &[[0x30, 0, 0, 0], ret_a],
    ] {
        assert_eq!(interpreter::run(&words(refused), &data), None, "{refused:x?}");
    }
}
