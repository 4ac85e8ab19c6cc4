//! The parts of a job, one after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use strongroom_model::{JobState, Task, TaskState};

/// The parts of one job; clones are of the same job.
#[derive(Clone, Debug)]
pub(crate) struct Tasks(Arc<Mutex<Vec<Task>>>);

impl Tasks {
    /// Parts of these names, none of which has begun.
    pub(crate) fn new(names: &[&str]) -> Self {
        let task = |name: &&str| Task {
            name: (*name).to_owned(),
            state: TaskState::NotStarted,
            started: None,
            ended: None,
        };
        Self(Arc::new(Mutex::new(names.iter().map(task).collect())))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(crate) fn now(&self) -> Vec<Task> {
        self.all().clone()
    }

    /// The part that is being done is done, if there is one, and the next begins.
    pub(crate) fn next(&self, now: Timestamp) {
        let mut all = self.all();
        end(&mut all, TaskState::Completed, now);
        if let Some(next) = all.iter_mut().find(|task| task.state == TaskState::NotStarted) {
            (next.state, next.started) = (TaskState::InProgress, Some(now));
        }
    }

    /// The job is over: so is the part that was being done. Those that had not begun never will.
    pub(crate) fn finish(&self, state: JobState, now: Timestamp) -> Vec<Task> {
        let mut all = self.all();
        let ended = match state {
            JobState::Completed | JobState::CompletedWithWarnings => TaskState::Completed,
            _ => TaskState::Failed,
        };
        end(&mut all, ended, now);
        all.clone()
    }
}

fn end(all: &mut [Task], state: TaskState, now: Timestamp) {
    if let Some(running) = all.iter_mut().find(|task| task.state == TaskState::InProgress) {
        (running.state, running.ended) = (state, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_done_in_order_and_the_failed_one_is_the_last() {
        let now = Timestamp::UNIX_EPOCH;
        let states = |tasks: &[Task]| tasks.iter().map(|task| task.state).collect::<Vec<_>>();
        use TaskState::*;
        let tasks = Tasks::new(&["one", "two"]);
        assert_eq!(states(&tasks.now()), [NotStarted, NotStarted]);
        tasks.next(now);
        assert_eq!(states(&tasks.now()), [InProgress, NotStarted]);
        assert_eq!(
            states(&tasks.clone().finish(JobState::Failed, now)),
            [Failed, NotStarted]
        );
        let tasks = Tasks::new(&["one", "two"]);
        tasks.next(now);
        tasks.next(now);
        assert_eq!(states(&tasks.now()), [Completed, InProgress]);
        assert_eq!(states(&tasks.finish(JobState::Completed, now)), [Completed, Completed]);
    }
}
