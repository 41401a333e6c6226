//! The compiler. A block is a piece of program every path of which ends in a return, so blocks are
//! combined by putting them one after the other.

use super::instruction::{
    ADD, ADD_INDEX, AND, ARCH, Instruction, JUMP, JUMP_ANY_BIT, JUMP_AT_LEAST, JUMP_EQUAL, LOAD, NUMBER,
    POINTER, RETURN, TO_INDEX, argument, upper,
};
use crate::abi::{Abi, Errno, MARK, window};
use crate::syscalls::{Operation, ROOT_OR_NONE, Room, Stage, Stages, Test, Tried};

/// `SECCOMP_RET_TRACE`.
pub const RET_TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_USER_NOTIF`.
pub const RET_USER_NOTIF: u32 = 0x7fc0_0000;
/// `SECCOMP_RET_ALLOW`.
pub const RET_ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ERRNO`.
pub const RET_ERRNO: u32 = 0x0005_0000;
/// `__X32_SYSCALL_BIT`: numbers from here on are x32's, which no row describes; but for −1, which is no call: who traces a
/// task puts it there to answer instead of the kernel, and that answer stands.
pub const X32_BIT: u32 = 0x4000_0000;

/// The number of no call.
pub const NONE: u32 = u32::MAX;

type Block = Vec<Instruction>;

/// The numbers from `first` up to the next leaf's, and what becomes of them.
struct Leaf {
    first: u32,
    block: Block,
}

/// The filter of `table` for `stage` on a machine with these ABIs. It stops what `more` stages stop as well.
pub fn program(table: &[Operation], abis: &[Abi], stage: Stage, more: Stages) -> Block {
    let refuse = || answer(if stage.refuses() { RET_ERRNO | Errno::ENOSYS.0 as u32 } else { RET_ALLOW });
    let x32 = || {
        if stage.refuses() { branch(JUMP_EQUAL, NONE, answer(RET_ALLOW), refuse()) } else { refuse() }
    };
    let mut block = refuse();
    for &abi in abis.iter().rev() {
        let mut calls = tree(&mut leaves(table, abi, stage, more));
        if abi == Abi::X86_64 {
            calls = branch(JUMP_AT_LEAST, X32_BIT, x32(), calls);
        }
        block = branch(JUMP_EQUAL, abi.audit_arch(), after(LOAD, NUMBER, calls), block);
    }
    after(LOAD, ARCH, block)
}

/// The numbers of `abi` as leaves in ascending order, without gaps from 0 on.
fn leaves(table: &[Operation], abi: Abi, stage: Stage, more: Stages) -> Vec<Leaf> {
    let stopping = |(index, operation): (usize, &Operation)| {
        let is_untold = operation.tried == Tried::Untold && Stages::LISTENING.contains(stage);
        let tests: Vec<Test> = operation
            .stops
            .iter()
            .filter(|stop| !is_untold && stage.only().union(more).hold(stop.0))
            .map(|stop| stop.1)
            .collect();
        let first = operation.numbers.of(abi).filter(|_| !tests.is_empty())?;
        let stop = answer(match Stages::LISTENING.contains(stage) {
            true => RET_USER_NOTIF,
            false => RET_TRACE | (index as u32 & 0xffff),
        });
        let block = tests.iter().rfold(answer(RET_ALLOW), |no, test| decide(test, &stop, &no));
        let block = match operation.room {
            Some(Room { arg, upper: false }) if abi == Abi::X86_64 => [believe(arg), block].concat(),
            Some(Room { arg, upper: is_upper }) => {
                let half = if is_upper { upper(arg) } else { argument(arg) };
                after(LOAD, half, branch(JUMP_EQUAL, MARK, answer(RET_ALLOW), block))
            }
            None => block,
        };
        Some(Leaf { first, block })
    };
    let mut stops: Vec<Leaf> = table.iter().enumerate().filter_map(stopping).collect();
    stops.sort_by_key(|leaf| leaf.first);
    let mut leaves = Vec::new();
    let mut next = 0;
    for stop in stops {
        if stop.first > next {
            leaves.push(Leaf { first: next, block: answer(RET_ALLOW) });
        }
        next = stop.first + 1;
        leaves.push(stop);
    }
    leaves.push(Leaf { first: next, block: answer(RET_ALLOW) });
    leaves
}

/// Lets a call pass whose argument is marked as a whole, or in half by the code inside a process; else goes on behind.
fn believe(arg: u8) -> Block {
    let jump = |k, jt, jf| Instruction { jt, jf, ..Instruction::plain(JUMP_EQUAL, k) };
    vec![
        Instruction::plain(LOAD, argument(arg)),
        jump(MARK, 0, 6),
        Instruction::plain(LOAD, POINTER),
        Instruction::plain(AND, window::CODE_MASK),
        jump(window::CODE, 2, 0),
        Instruction::plain(LOAD, upper(arg)),
        jump(MARK, 0, 1),
        Instruction::plain(RETURN, RET_ALLOW),
    ]
}

/// A balanced tree over the leaves, with the number in the accumulator; it takes the blocks away.
fn tree(leaves: &mut [Leaf]) -> Block {
    match leaves {
        [] => answer(RET_ALLOW),
        [leaf] => std::mem::take(&mut leaf.block),
        _ => {
            let (low, high) = leaves.split_at_mut(leaves.len() / 2);
            let pivot = high.first().map_or(0, |leaf| leaf.first);
            let high = tree(high);
            branch(JUMP_AT_LEAST, pivot, high, tree(low))
        }
    }
}

/// Goes to `stop` when the arguments pass the test, else to `no`: [`Test::matches`] as a program.
fn decide(test: &Test, stop: &Block, no: &Block) -> Block {
    let (stop, no) = (stop.clone(), no.clone());
    match *test {
        Test::Always => stop,
        Test::AnyOf { arg, values } => after(LOAD, argument(arg), among(values, stop, no)),
        Test::AnyBits { arg, mask } => after(LOAD, argument(arg), branch(JUMP_ANY_BIT, mask, stop, no)),
        Test::NoBits { arg, mask } => after(LOAD, argument(arg), branch(JUMP_ANY_BIT, mask, no, stop)),
        Test::AllBits { arg, mask } => {
            after(LOAD, argument(arg), after(AND, mask, branch(JUMP_EQUAL, mask, stop, no)))
        }
        Test::Meets { start, length } => meets(start, length, stop, no),
        Test::Over { start, length, flags, mask } => {
            let over = meets(start, length, stop, no.clone());
            after(LOAD, argument(flags), branch(JUMP_ANY_BIT, mask, over, no))
        }
        Test::ToRoot { ids } => {
            let group = after(LOAD, argument(ids + 1), among(ROOT_OR_NONE, stop, no.clone()));
            after(LOAD, argument(ids), among(ROOT_OR_NONE, group, no))
        }
        Test::Passes { arg, value, pointer } => {
            let low = after(LOAD, upper(pointer), branch(JUMP_EQUAL, 0, no.clone(), stop.clone()));
            let passes = after(LOAD, argument(pointer), branch(JUMP_EQUAL, 0, low, stop));
            after(LOAD, argument(arg), branch(JUMP_EQUAL, value, passes, no))
        }
        Test::DeviceNode { mode, dev } => {
            let character = after(LOAD, argument(dev), branch(JUMP_EQUAL, 0, no.clone(), stop.clone()));
            let other = branch(JUMP_EQUAL, 0o060_000, stop, no);
            let device = branch(JUMP_EQUAL, 0o020_000, character, other);
            after(LOAD, argument(mode), after(AND, 0o170_000, device))
        }
    }
}

/// [`window::meets`] as a program.
fn meets(start: u8, length: u8, stop: Block, no: Block) -> Block {
    const PERIOD: u32 = 1 << window::BITS;
    let behind = after(ADD_INDEX, 0, branch(JUMP_AT_LEAST, PERIOD + 1, stop.clone(), no));
    let short = branch(JUMP_AT_LEAST, PERIOD + 1, stop.clone(), behind);
    let long = branch(JUMP_EQUAL, 0, after(LOAD, argument(length), short), stop.clone());
    let before = after(TO_INDEX, 0, after(LOAD, upper(length), long));
    let into = branch(JUMP_AT_LEAST, window::LENGTH, before, stop);
    after(LOAD, argument(start), after(ADD, window::FIRST.wrapping_neg(), after(AND, PERIOD - 1, into)))
}

/// Goes to `yes` when the accumulator is one of `values`, else to `no`.
fn among(values: &[u32], yes: Block, no: Block) -> Block {
    match values {
        [] => no,
        [last] => branch(JUMP_EQUAL, *last, yes, no),
        // Comparisons in a row share one `yes`, which is out of reach of none of them.
        _ if values.len() + no.len() <= 255 => {
            let mut block: Block = Vec::new();
            for (index, &k) in values.iter().enumerate() {
                let rest = values.len() - index - 1 + no.len();
                block.push(Instruction { jt: rest as u8, ..Instruction::plain(JUMP_EQUAL, k) });
            }
            [block, no, yes].concat()
        }
        [first, rest @ ..] => branch(JUMP_EQUAL, *first, yes.clone(), among(rest, yes, no)),
    }
}

/// Goes to `yes` when the condition holds, else to `no`. Conditional jumps reach 255 instructions; an
/// unconditional one reaches the rest.
fn branch(condition: u16, k: u32, yes: Block, no: Block) -> Block {
    let jump = match u8::try_from(yes.len()) {
        Ok(jf) => vec![Instruction { jf, ..Instruction::plain(condition, k) }],
        Err(_) => vec![
            Instruction { jt: 1, ..Instruction::plain(condition, k) },
            Instruction::plain(JUMP, yes.len() as u32),
        ],
    };
    [jump, yes, no].concat()
}

/// One instruction, then the block.
fn after(code: u16, k: u32, block: Block) -> Block {
    [vec![Instruction::plain(code, k)], block].concat()
}

/// The block that returns this action.
fn answer(action: u32) -> Block {
    vec![Instruction::plain(RETURN, action)]
}
