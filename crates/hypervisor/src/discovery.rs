//! Which virtual machines a host has.

use std::path::{Path, PathBuf};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::description::{self, Description, DescriptionError};
use crate::disk::{LeftOut, WhyLeftOut};
use crate::guest_agent::{ANSWER_LIMIT, GuestAgent};
use crate::machine::{self, AgentState, Machine, State, Unasked};
use crate::off;
use crate::qmp::{Monitor, MonitorError};

/// How many machines are asked at once.
const AT_ONCE: usize = 8;

/// What was found of one description.
#[derive(Debug)]
pub struct Discovered {
    /// What it describes, or its file if it does not.
    pub name: String,
    /// What is there.
    pub found: Found,
}

/// A virtual machine, or why it is not known.
#[derive(Debug)]
pub enum Found {
    /// It was asked, or is off.
    Machine(Box<Machine>),
    /// It could not be asked.
    Unasked(Unasked),
}

/// Asks each virtual machine that a folder describes. Nothing is changed by it.
///
/// # Errors
/// Only when the folder itself cannot be read.
pub async fn discover(folder: &Path) -> Result<Vec<Discovered>, DescriptionError> {
    let mut waiting = description::read_all(folder)?.into_iter().enumerate();
    let (mut asking, mut discovered) = (JoinSet::new(), Vec::new());
    loop {
        while asking.len() < AT_ONCE
            && let Some((at, described)) = waiting.next()
        {
            asking.spawn(async move { (at, one(described).await) });
        }
        match asking.join_next().await {
            None => break,
            Some(ended) => discovered.push(ended.expect("asking does not panic, and nobody stops it")),
        }
    }
    discovered.sort_by_key(|(at, _)| *at);
    Ok(discovered.into_iter().map(|(_, found)| found).collect())
}

async fn one(described: Result<Description, DescriptionError>) -> Discovered {
    match described {
        Ok(description) => Discovered {
            name: description.name.to_string(),
            found: match ask(&description).await {
                Ok(machine) => Found::Machine(Box::new(machine)),
                Err(error) => Found::Unasked(error),
            },
        },
        Err(error) => Discovered {
            name: file(&error).display().to_string(),
            found: Found::Unasked(error.into()),
        },
    }
}

fn file(error: &DescriptionError) -> PathBuf {
    match error {
        DescriptionError::Absent { folder, .. } => folder.clone(),
        DescriptionError::Io { path, .. }
        | DescriptionError::Wrong { path, .. }
        | DescriptionError::Twice { path, .. }
        | DescriptionError::TooMany(path) => path.clone(),
    }
}

async fn ask(description: &Description) -> Result<Machine, Unasked> {
    let mut monitor = match Monitor::connect(&description.qmp).await {
        Err(MonitorError::Absent { .. }) => return Ok(switched_off(description).await),
        connected => connected?,
    };
    let uuid = machine::uuid(&mut monitor).await?;
    check_uuid(description, uuid)?;
    let (disks, left_out) = machine::disks(&mut monitor).await?;
    Ok(Machine {
        name: description.name.clone(),
        uuid,
        state: machine::state(&mut monitor).await?,
        disks,
        left_out,
        agent: agent(description, &mut monitor).await?,
        qemu: Some(monitor.version().clone()),
        capabilities: Some(machine::capabilities(&mut monitor).await?),
    })
}

/// A description that says which machine it means must not be answered by another.
pub(crate) fn check_uuid(description: &Description, found: Option<uuid::Uuid>) -> Result<(), Unasked> {
    match (description.uuid, found.unwrap_or_default()) {
        (Some(expected), found) if expected != found => Err(Unasked::Another {
            path: description.qmp.clone(),
            found,
            expected,
        }),
        _ => Ok(()),
    }
}

async fn agent(description: &Description, monitor: &mut Monitor) -> Result<AgentState, MonitorError> {
    let Some(path) = &description.agent else {
        return Ok(AgentState::None);
    };
    let mut agent = GuestAgent::new(path);
    if agent.is_listening(monitor).await? == Some(false) {
        return Ok(AgentState::Absent);
    }
    // The first exchange has a limit of its own, so this takes no longer than that.
    Ok(match timeout(ANSWER_LIMIT, agent.version()).await {
        Ok(Ok(version)) => AgentState::Answers(version),
        Ok(Err(_)) | Err(_) => AgentState::Silent,
    })
}

async fn switched_off(description: &Description) -> Machine {
    let (mut disks, mut left_out) = (Vec::new(), Vec::new());
    for described in &description.disks {
        match off::look(described).await {
            Ok(looked) => disks.push(looked.disk),
            Err(error) => left_out.push(LeftOut {
                device: described.file.display().to_string(),
                why: WhyLeftOut::Unreadable(error.to_string()),
            }),
        }
    }
    Machine {
        name: description.name.clone(),
        uuid: description.uuid,
        state: State::Off,
        disks,
        left_out,
        agent: match &description.agent {
            Some(_) => AgentState::Absent,
            None => AgentState::None,
        },
        qemu: None,
        capabilities: None,
    }
}
