//! Which tasks a random script has, and which of them can act.

/// As many tasks as the probe can drive.
const TASKS: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Task {
    alive: bool,
    group: usize,
    /// Its address space.
    memory: usize,
    /// The task that waits for this one's exec or exit.
    blocks: Option<usize>,
}

/// The tasks of one sequence.
#[derive(Debug)]
pub struct Cast {
    tasks: Vec<Task>,
    memories: usize,
}

impl Cast {
    /// One process, with one task.
    pub fn new() -> Cast {
        Cast { tasks: vec![Task { alive: true, group: 0, memory: 0, blocks: None }], memories: 1 }
    }

    /// A task that can act; `None` when none can.
    pub fn choose(&self, selector: u8) -> Option<usize> {
        let blocked = |at: usize| self.tasks.iter().any(|task| task.alive && task.blocks == Some(at));
        let able: Vec<usize> = self.alive().into_iter().filter(|&at| !blocked(at)).collect();
        (!able.is_empty()).then(|| able[usize::from(selector) % able.len()])
    }

    /// A task that is alive; there must be one.
    pub fn choose_any(&self, selector: u8) -> usize {
        let alive = self.alive();
        alive[usize::from(selector) % alive.len()]
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|&at| self.tasks[at].alive).collect()
    }

    /// A task's address space.
    pub fn memory(&self, at: usize) -> usize {
        self.tasks[at].memory
    }

    /// A new task that `maker` makes `how`; `None` when there are as many as there may be.
    pub fn spawn(&mut self, maker: usize, how: &str) -> Option<usize> {
        let number = self.tasks.len();
        let Task { group, memory, .. } = self.tasks[maker];
        let mut child = Task { alive: true, group: number, memory, blocks: None };
        if how.starts_with("thread") {
            child.group = group;
        } else if how.starts_with("vfork") {
            child.blocks = Some(maker);
        } else {
            child.memory = self.memories;
            self.memories += 1;
        }
        (number < TASKS).then(|| {
            self.tasks.push(child);
            number
        })
    }

    /// Exec: the rest of the task's group is gone, and its memory is new.
    pub fn exec(&mut self, at: usize) {
        self.end(at, true);
        self.tasks[at] = Task { alive: true, blocks: None, memory: self.memories, ..self.tasks[at] };
        self.memories += 1;
    }

    /// The end of a task, or of its whole group.
    pub fn end(&mut self, at: usize, whole_group: bool) {
        let group = self.tasks[at].group;
        for (other, task) in self.tasks.iter_mut().enumerate() {
            task.alive &= !(other == at || whole_group && task.group == group);
        }
    }
}
