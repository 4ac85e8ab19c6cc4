//! Root at the state folder of somebody else, as the packages make it, becomes that user: nothing is left there that the agent
//! cannot go on with, and nothing that lies there makes root write elsewhere.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, set_capabilities, set_keep_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// Becomes the owner of `folder` if this is root and the folder another user's, who may read everything (CAP_DAC_READ_SEARCH)
/// like the agent's unit. To be called while there is one thread: others would stay what they are.
pub(crate) fn become_owner_of(folder: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let metadata = match fs::metadata(folder) {
        Ok(metadata) if metadata.uid() != 0 => metadata,
        Ok(_) => return Ok(()),
        // It is made soon, or its absence has a sentence of its own.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    let became = || {
        set_keep_capabilities(true)?;
        set_thread_groups(&[])?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)?;
        let reading = CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(
            None,
            CapabilitySets {
                effective: reading,
                permitted: reading,
                inheritable: CapabilitySet::empty(),
            },
        )
    };
    became().with_context(|| format!("cannot become the user {user}, whose {} is", folder.display()))
}
