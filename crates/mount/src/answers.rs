//! What the kernel is answered.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fuser::{Errno, FileAttr, FileHandle, FileType, INodeNo};
use strongroom_engine::browse::{Name, PointTree, Seek, Unreadable};
use strongroom_format::entry::{Attribute, Kind};

use crate::activity::Activity;
use crate::attributes;
use crate::inode::Inode;
use crate::open_files::{OpenFile, OpenFiles};
use crate::shown::Shown;

/// What is told once holds as long as anything is mounted.
pub const FOR_GOOD: Duration = crate::LONGEST;
/// How long the kernel believes how many names a file has while they are being counted.
const WHILE_COUNTING: Duration = Duration::from_secs(1);
/// Until it is known, every file may have another name: programs that look for those find them then.
const LINKS_UNCOUNTED: u32 = 2;
/// So many different failures are logged.
const TOLD_MAX: usize = 10_000;
/// "." and "..", and 0 for the beginning.
const NAMES_FROM: u64 = 3;

/// Answers about what is shown.
pub struct Answers {
    shown: Shown,
    activity: Arc<Activity>,
    pub files: OpenFiles,
    told: Mutex<HashSet<Unreadable>>,
}

/// Attributes, and how long they hold.
pub struct Known {
    pub attr: FileAttr,
    pub holds: Duration,
}

/// One name of a folder.
pub struct Listed<'a> {
    pub inode: INodeNo,
    /// Where to go on after it.
    pub next: u64,
    pub kind: FileType,
    pub name: &'a [u8],
    /// If it was asked for.
    pub known: Option<Known>,
}

/// An inode, looked up.
enum Found {
    /// The folder with a folder for each recovery point.
    List,
    /// The topmost folder of a recovery point.
    Top,
    Name(Arc<PointTree>, Name),
}

impl Answers {
    pub fn new(shown: Shown, activity: Arc<Activity>) -> Self {
        Self {
            shown,
            activity,
            files: OpenFiles::default(),
            told: Mutex::default(),
        }
    }

    /// Something is being asked, or was answered.
    pub fn note(&self) {
        self.activity.note();
    }

    pub async fn lookup(&self, folder: INodeNo, last: &[u8]) -> Result<Known, Errno> {
        let folder = inode(folder)?;
        if self.shown.is_list(folder) {
            let folders = self.shown.folders().unwrap_or_default();
            let at = folders.iter().position(|folder| folder.name.as_bytes() == last);
            return Ok(self.top(point_folder(at.ok_or(Errno::ENOENT)?)));
        }
        let tree = self.shown.tree(folder).await.map_err(|error| self.failed(error))?;
        let path = join(&self.path(folder).await?, last);
        let found = tree.find(&path).await.map_err(|error| self.failed(error))?;
        self.known(tree, folder.point, found.ok_or(Errno::ENOENT)?).await
    }

    pub async fn attributes(&self, number: INodeNo) -> Result<Known, Errno> {
        let inode = inode(number)?;
        match self.find(inode).await? {
            Found::List | Found::Top => Ok(self.top(inode)),
            Found::Name(tree, name) => self.known(&tree, inode.point, name).await,
        }
    }

    pub async fn link_target(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        let (_, name) = self.name(number).await?;
        match &name.node().kind {
            Kind::Symlink { target } => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The names of extended attributes, each with a NUL behind it. Those that are for root are shown to root.
    pub async fn attribute_names(&self, number: INodeNo, uid: u32) -> Result<Vec<u8>, Errno> {
        let attributes = self.extended(number).await?;
        let shown = |(name, _): &&Attribute| uid == 0 || !name.starts_with(b"trusted.");
        let names = attributes.iter().filter(shown).map(|(name, _)| name);
        Ok(names.flat_map(|name| [name.as_slice(), b"\0"].concat()).collect())
    }

    pub async fn attribute(&self, number: INodeNo, wanted: &[u8]) -> Result<Vec<u8>, Errno> {
        let attributes = self.extended(number).await?;
        let found = attributes.into_iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value).ok_or(Errno::ENODATA)
    }

    async fn extended(&self, number: INodeNo) -> Result<Vec<Attribute>, Errno> {
        match self.find(inode(number)?).await? {
            Found::List | Found::Top => Ok(Vec::new()),
            Found::Name(_, name) => Ok(name.node().attributes.clone()),
        }
    }

    /// How many names there are, and how many bytes; of a list of recovery points nobody knows.
    pub async fn sizes(&self, number: INodeNo) -> Result<(u64, u64), Errno> {
        let inode = inode(number)?;
        if self.shown.is_list(inode) {
            return Ok((0, 0));
        }
        let tree = self.shown.tree(inode).await.map_err(|error| self.failed(error))?;
        Ok((tree.names(), tree.bytes()))
    }

    pub async fn open(&self, number: INodeNo) -> Result<FileHandle, Errno> {
        let (tree, name) = self.name(number).await?;
        match name.node().kind {
            Kind::File { .. } => Ok(self.files.open(tree, name)),
            Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::ENXIO),
        }
    }

    pub async fn read(&self, file: FileHandle, offset: u64, length: u32) -> Result<Vec<u8>, Errno> {
        let OpenFile { tree, name, reads } = &*self.files.get(file).ok_or(Errno::EBADF)?;
        reads.go_on(tree, name, offset, length);
        let bytes = tree.read(name, offset, length).await;
        bytes.map_err(|error| self.failed(error))
    }

    pub async fn seek(&self, file: FileHandle, offset: u64, what: Seek) -> Result<u64, Errno> {
        let file = self.files.get(file).ok_or(Errno::EBADF)?;
        let found = file.tree.seek(&file.name, offset, what).await;
        found.map_err(|error| self.failed(error))?.ok_or(Errno::ENXIO)
    }

    /// Gives `each` the names of a folder, from a place on that an earlier name told, until it wants no more. With
    /// attributes, if that is wanted.
    pub async fn list(
        &self,
        number: INodeNo,
        from: u64,
        with_attributes: bool,
        mut each: impl FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let folder = inode(number)?;
        let above = self.above(folder).await?;
        for (next, (name, inode)) in (1..).zip([(b".".as_slice(), folder), (b"..", above)]) {
            let known = with_attributes.then(|| self.top(inode));
            if from < next && !each(listed(inode, next, FileType::Directory, name, known)) {
                return Ok(());
            }
        }
        match self.shown.is_list(folder) {
            true => self.list_points(from, with_attributes, each),
            false => self.list_names(folder, from, with_attributes, each).await?,
        }
        Ok(())
    }

    fn list_points(&self, from: u64, with_attributes: bool, mut each: impl FnMut(Listed<'_>) -> bool) {
        let folders = self.shown.folders().unwrap_or_default().iter().enumerate();
        for (at, folder) in folders.skip(from.saturating_sub(NAMES_FROM - 1) as usize) {
            let inode = point_folder(at);
            let known = with_attributes.then(|| self.top(inode));
            let next = NAMES_FROM + at as u64;
            if !each(listed(inode, next, FileType::Directory, folder.name.as_bytes(), known)) {
                return;
            }
        }
    }

    async fn list_names(
        &self,
        folder: Inode,
        from: u64,
        with_attributes: bool,
        mut each: impl FnMut(Listed<'_>) -> bool,
    ) -> Result<(), Errno> {
        let failed = |error| self.failed(error);
        let tree = self.shown.tree(folder).await.map_err(failed)?;
        let path = self.path(folder).await?;
        let mut number = match from.checked_sub(NAMES_FROM) {
            None => folder.name.map_or(0, |folder| folder + 1),
            Some(last) => {
                let last = tree.name(last).await.map_err(failed)?.ok_or(Errno::EINVAL)?;
                tree.after(&last).await.map_err(failed)?
            }
        };
        while let Some(name) = tree.next_in(&path, number).await.map_err(failed)? {
            let meant = tree.meant(name.clone()).await.map_err(failed)?;
            let inode = Inode {
                point: folder.point,
                name: Some(meant.number()),
            };
            let kind = attributes::file_type(&meant.node().kind);
            let known = match with_attributes {
                true => Some(self.known(tree, folder.point, meant).await?),
                false => None,
            };
            let next = NAMES_FROM + name.number();
            if !each(listed(inode, next, kind, name.last(), known)) {
                return Ok(());
            }
            number = tree.after(&name).await.map_err(failed)?;
        }
        Ok(())
    }

    /// The folder above a folder.
    async fn above(&self, folder: Inode) -> Result<Inode, Errno> {
        let Found::Name(tree, name) = self.find(folder).await? else {
            return Ok(Inode::ROOT);
        };
        let path = name.path();
        let parent = &path[..path.len().saturating_sub(name.last().len() + 1)];
        let found = tree.find(parent).await.map_err(|error| self.failed(error))?;
        Ok(Inode {
            point: folder.point,
            name: found.map(|parent| parent.number()),
        })
    }

    /// The path of a folder within its recovery point.
    async fn path(&self, folder: Inode) -> Result<Vec<u8>, Errno> {
        match self.find(folder).await? {
            Found::List | Found::Top => Ok(Vec::new()),
            Found::Name(_, name) => Ok(name.path().to_owned()),
        }
    }

    async fn find(&self, inode: Inode) -> Result<Found, Errno> {
        let Some(number) = inode.name else {
            let is_list = self.shown.is_list(inode);
            return Ok(if is_list { Found::List } else { Found::Top });
        };
        let failed = |error| self.failed(error);
        let tree = self.shown.tree(inode).await.map_err(failed)?;
        let name = tree.name(number).await.map_err(failed)?;
        Ok(Found::Name(tree.clone(), name.ok_or(Errno::ENOENT)?))
    }

    async fn name(&self, number: INodeNo) -> Result<(Arc<PointTree>, Name), Errno> {
        match self.find(inode(number)?).await? {
            Found::List | Found::Top => Err(Errno::EISDIR),
            Found::Name(tree, name) => Ok((tree, name)),
        }
    }

    async fn known(&self, tree: &Arc<PointTree>, point: usize, name: Name) -> Result<Known, Errno> {
        let failed = |error| self.failed(error);
        let name = tree.meant(name).await.map_err(failed)?;
        let allocated = tree.allocated(&name).await.map_err(failed)?;
        let links = match name.is_folder() {
            true => Some(1),
            false => tree.names_of(&name),
        };
        let inode = Inode {
            point,
            name: Some(name.number()),
        };
        Ok(Known {
            attr: attributes::of_name(inode, &name, allocated, links.unwrap_or(LINKS_UNCOUNTED)),
            holds: if links.is_some() { FOR_GOOD } else { WHILE_COUNTING },
        })
    }

    fn top(&self, inode: Inode) -> Known {
        let created = match self.shown.point(inode) {
            Some(point) => point.created().into(),
            None => self.shown.created(),
        };
        Known {
            attr: attributes::of_top(inode, created),
            holds: FOR_GOOD,
        }
    }

    /// Logs why something cannot be read, once.
    fn failed(&self, error: Unreadable) -> Errno {
        let mut told = self.told.lock().expect("no thread panicked here");
        if told.len() < TOLD_MAX && told.insert(error.clone()) {
            tracing::warn!("cannot read: {error}");
        }
        Errno::EIO
    }
}

fn inode(number: INodeNo) -> Result<Inode, Errno> {
    Inode::from_number(number).ok_or(Errno::ENOENT)
}

/// The topmost folder of the recovery point that is listed at this position.
fn point_folder(at: usize) -> Inode {
    Inode {
        point: at + 1,
        name: None,
    }
}

fn listed<'a>(inode: Inode, next: u64, kind: FileType, name: &'a [u8], known: Option<Known>) -> Listed<'a> {
    Listed {
        inode: inode.number(),
        next,
        kind,
        name,
        known,
    }
}

fn join(folder: &[u8], last: &[u8]) -> Vec<u8> {
    match folder {
        b"" => last.to_owned(),
        folder => [folder, b"/", last].concat(),
    }
}
