//! The walk over a selection, in path order.

use super::entered::{Entered, Volume};
use super::filesystem::{Crossing, FileSystems};
use super::found::Found;
use super::fstab::Absences;
use super::left_out::{LeftOut, Rule};
use super::level::{HANDLE, Inside, LISTABLE, Level, Scope, check_identity, components, open_again, open_path};
use super::listing::{Hint, Listing};
use super::marker::Marker;
use super::meta::{Kind, Meta};
use super::mounts::Mounts;
use super::reading::open_quietly;
use super::rules::Rules;
use super::selection::Selection;
use super::shown::ShownPath;
use super::snapshot::{Snapshots, is_snapshot};
use super::step::{IssueKind, Step, WalkIssue};
use crate::source::VolumesRead;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, openat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use strongroom_model::VolumeKind;

/// How many directories of the path to the present place stay open. In deeper trees those above
/// are closed and opened again on the way back.
const OPEN_DIRECTORIES_MAX: usize = 64;
/// Room for one `getdents` call: about two thousand short names.
const LISTING_BUFFER_BYTES: usize = 64 << 10;

/// Walks a selection: an iterator over entries, each right before what lies in it. Whoever wants to know what is left out
/// asks for each [`Walker::step`] instead.
///
/// The directories above the roots come too, once each, without their other contents, so that a
/// restore can make them again; `/` itself is not an entry. Memory is bounded by the directories on
/// the path to the present place, in practice by the largest one.
#[derive(Debug)]
pub struct Walker {
    /// Components of each root, in path order.
    roots: Vec<Vec<CString>>,
    rules: Rules,
    /// The open directories from `/` down to the present one.
    stack: Vec<Level>,
    /// Path of the directory on top of the stack, or of the one to be entered.
    path: Vec<u8>,
    to_enter: Option<Entrance>,
    /// What has not been handed out yet.
    ready: VecDeque<Step>,
    file_systems: FileSystems,
    entered: Entered,
    absences: Absences,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// A directory whose entry has been handed out and whose contents come next.
#[derive(Debug)]
struct Entrance {
    parent: Arc<OwnedFd>,
    name: CString,
    meta: Meta,
    volume: Arc<Volume>,
    /// Whether it is the beginning of a volume that has yet to be entered.
    is_new_volume: bool,
    scope: Scope,
    is_root: bool,
    unannounced: Option<Found>,
}

/// What is at the place of an entry.
struct Seen {
    directory: Arc<OwnedFd>,
    meta: Meta,
    volume: Arc<Volume>,
}

impl Iterator for Walker {
    type Item = Result<Found, WalkIssue>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step()? {
                Step::Found(found) => return Some(Ok(found)),
                Step::Issue(issue) => return Some(Err(issue)),
                Step::LeftOut(_) => {}
            }
        }
    }
}

impl Walker {
    /// Starts a walk over everything where it is. Fails only if `/` itself cannot be opened.
    pub fn new(selection: Selection) -> Result<Walker, WalkIssue> {
        Walker::with_snapshots(selection, None)
    }

    pub(super) fn with_snapshots(selection: Selection, snapshots: Option<Arc<Snapshots>>) -> Result<Walker, WalkIssue> {
        let entered = Entered::new(&selection, snapshots);
        let (roots, rules) = selection.into_parts();
        let mounts = Mounts::load();
        let mut walker = Walker {
            roots: roots
                .iter()
                .map(|root| components(root.as_os_str().as_bytes()))
                .collect(),
            stack: Vec::new(),
            path: Vec::new(),
            to_enter: None,
            ready: VecDeque::new(),
            absences: Absences::load(&mounts),
            file_systems: FileSystems::new(mounts, rules.allowed.clone()),
            rules,
            entered,
            buffer: vec![MaybeUninit::uninit(); LISTING_BUFFER_BYTES].into_boxed_slice(),
        };
        walker.start().map_err(|error| issue(b"", error))?;
        Ok(walker)
    }

    /// The volumes that it has entered so far, and how each is read.
    pub fn volumes(&self) -> &VolumesRead {
        self.entered.told()
    }

    /// What the walk comes to next, with what it leaves out.
    pub fn step(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Some(step);
            }
            if let Some(entrance) = self.to_enter.take() {
                self.enter(entrance);
                continue;
            }
            let level = self.stack.last_mut()?;
            level.passed += 1;
            if level.present().is_none() {
                self.leave();
            } else {
                self.visit();
            }
        }
    }

    fn start(&mut self) -> Result<(), Errno> {
        let directory = openat(CWD, c"/", HANDLE, Mode::empty())?;
        let meta = Meta::of_open(&directory)?;
        let scope = match self.roots.iter().any(Vec::is_empty) {
            true => Scope::Inside(Inside {
                below: 0,
                device: meta.dev,
                is_included: self.rules.include.is_empty(),
            }),
            false => Scope::Above(0..self.roots.len()),
        };
        let parent = Arc::new(directory);
        self.enter(Entrance {
            parent,
            name: c".".into(),
            meta,
            volume: Volume::untold(meta.dev),
            is_new_volume: true,
            scope,
            is_root: true,
            unannounced: None,
        });
        Ok(())
    }

    /// Looks at the present entry.
    fn visit(&mut self) {
        let Some(level) = self.stack.last() else { return };
        let Some((name, hint)) = level.present() else { return };
        let path = join(&self.path, name);
        let is_included = match self.by_name(level, &path, name, hint) {
            Ok(is_included) => is_included,
            Err(rule) => return self.ready.push_back(Step::LeftOut(LeftOut { path, rule })),
        };
        let Seen {
            directory,
            meta,
            volume,
        } = match self.look(level, name, &path) {
            Ok(seen) => seen,
            Err(error) => {
                return self
                    .ready
                    .push_back(Step::Issue(self.missing(level, name, &path, error)));
            }
        };
        if let Some(rule) = self.by_facts(level, name, &meta) {
            return self.ready.push_back(Step::LeftOut(LeftOut { path, rule }));
        }
        let name_start = path.len() - name.count_bytes();
        let found = Found {
            path,
            meta,
            directory,
            volume,
            name_start,
        };
        if meta.kind.is_directory() {
            self.plan_to_enter(found, is_included);
        } else if self.leads_to_roots(level, name) {
            let missing = self.missing(level, name, &found.path, Errno::NOTDIR);
            self.ready.push_back(Step::Issue(missing));
        } else {
            self.announce(found);
        }
    }

    /// What is at the place of the present entry. In the place of what is mounted in a volume, and of another subvolume, its
    /// snapshot has an empty directory, or what is hidden; so that is looked for where the tree has it.
    fn look(&self, level: &Level, name: &CStr, path: &[u8]) -> Result<Seen, Errno> {
        let meta = Meta::of_entry(level.handle(), name)?;
        let is_elsewhere = level.volume.snapshot.as_ref().is_some_and(|inside| {
            let is_stub = meta.kind.is_directory() && inside.snapshot.is_stub(meta.ino);
            is_stub || self.file_systems.mounts().has_at(path)
        });
        if is_elsewhere {
            let directory = Arc::new(open_path(&self.path)?);
            let meta = Meta::of_entry(&directory, name)?;
            let volume = Volume::untold(meta.dev);
            return Ok(Seen {
                directory,
                meta,
                volume,
            });
        }
        let is_new_volume = meta.kind.is_directory() && meta.dev != level.identity.0;
        Ok(Seen {
            directory: Arc::clone(level.handle()),
            meta,
            volume: match is_new_volume {
                true => Volume::untold(meta.dev),
                false => Arc::clone(&level.volume),
            },
        })
    }

    /// Whether patterns include the present entry; or which rule leaves it out.
    fn by_name(&self, level: &Level, path: &[u8], name: &CStr, hint: Hint) -> Result<bool, Rule> {
        let Scope::Inside(inside) = &level.scope else {
            return Ok(true);
        };
        let Rules { exclude, include, .. } = &self.rules;
        if exclude.is_empty() && include.is_empty() {
            return Ok(true);
        }
        let is_directory = match hint {
            Hint::Directory => true,
            Hint::Other => false,
            Hint::Unknown => Meta::of_entry(level.handle(), name).is_ok_and(|meta| meta.kind.is_directory()),
        };
        if let Some(fit) = exclude.last_fit(path, inside.below, is_directory)
            && !fit.is_negated
        {
            return Err(Rule::Excluded(Arc::clone(fit.pattern)));
        }
        let fit = include.last_fit(path, inside.below, is_directory);
        let is_included = fit.as_ref().map_or(inside.is_included, |fit| !fit.is_negated);
        match is_included || is_directory {
            true => Ok(is_included),
            false => Err(Rule::NotIncluded(fit.map(|fit| Arc::clone(fit.pattern)))),
        }
    }

    /// The rule that leaves out an entry for what it is.
    fn by_facts(&self, level: &Level, name: &CStr, meta: &Meta) -> Option<Rule> {
        let Scope::Inside(_) = &level.scope else { return None };
        if meta.kind.is_directory() && is_snapshot(name.to_bytes(), meta.ino) {
            return Some(Rule::Snapshot);
        }
        let too_long = |most: &u64| meta.kind == Kind::File && meta.size > *most;
        let larger = self.rules.larger_than.filter(too_long);
        let larger = larger.map(|most| Rule::Larger { size: meta.size, most });
        larger.or_else(|| self.rules.excludes_type(meta.kind).map(Rule::Type))
    }

    /// Hands out an entry, after the directories that lead to it.
    fn announce(&mut self, found: Found) {
        self.announce_above();
        self.ready.push_back(Step::Found(found));
    }

    fn announce_above(&mut self) {
        let waiting = self.stack.iter_mut().filter_map(|level| level.unannounced.take());
        self.ready.extend(waiting.map(Step::Found));
    }

    /// Remembers a directory that has just been found as the next to go into. If it is included, it is handed out first.
    fn plan_to_enter(&mut self, found: Found, is_included: bool) {
        let Some(level) = self.stack.last() else { return };
        let is_new_volume = !Arc::ptr_eq(&found.volume, &level.volume);
        let (scope, is_root) = match &level.scope {
            Scope::Inside(inside) => (Scope::Inside(Inside { is_included, ..*inside }), false),
            Scope::Above(_) => {
                let roots = self.roots_through(level, found.name());
                if self.roots[roots.start].len() == self.stack.len() {
                    let inside = Inside {
                        below: found.path.len() + 1,
                        device: found.volume.device_of(&found.meta),
                        is_included: self.rules.include.is_empty(),
                    };
                    (Scope::Inside(inside), true)
                } else {
                    (Scope::Above(roots), false)
                }
            }
        };
        self.tell_absence(&found, matches!(scope, Scope::Inside(_)) && !is_root);
        self.path.clone_from(&found.path);
        let mut entrance = Entrance {
            parent: Arc::clone(&found.directory),
            name: found.c_name(),
            meta: found.meta,
            volume: Arc::clone(&found.volume),
            is_new_volume,
            scope,
            is_root,
            unannounced: None,
        };
        match is_included {
            true => self.announce(found),
            false => entrance.unannounced = Some(found),
        }
        self.to_enter = Some(entrance);
    }

    /// Tells that a volume ought to be mounted here. One that is mounted on demand is missed only by those who selected it.
    fn tell_absence(&mut self, found: &Found, is_inside: bool) {
        let is_expected = |on_demand: bool| !is_inside || !on_demand && !self.rules.one_file_system;
        if let Some(absent) = self.absences.at(&found.path)
            && is_expected(absent.on_demand)
        {
            self.ready.push_back(Step::Issue(WalkIssue {
                path: found.path.clone(),
                kind: IssueKind::NotMounted,
                why: absent.why.clone(),
            }));
        }
    }

    /// Which roots are, or lie below, the entry `name` of a directory above roots.
    fn roots_through(&self, level: &Level, name: &[u8]) -> Range<usize> {
        let Scope::Above(range) = &level.scope else { return 0..0 };
        let depth = self.stack.len() - 1;
        let leads = |index: &usize| self.roots[*index][depth].as_bytes() == name;
        let start = range.clone().find(leads).unwrap_or(range.end);
        let end = (start..range.end).find(|index| !leads(index)).unwrap_or(range.end);
        start..end
    }

    /// Whether roots lie below the entry, so that it ought to be a directory.
    fn leads_to_roots(&self, level: &Level, name: &CStr) -> bool {
        let roots = self.roots_through(level, name.to_bytes());
        self.roots[roots].iter().any(|root| root.len() > self.stack.len())
    }

    /// An entry that cannot be looked at. Above a root, the root is what the user knows.
    fn missing(&self, level: &Level, name: &CStr, path: &[u8], error: Errno) -> WalkIssue {
        let mut issue = issue(path, error);
        let roots = self.roots_through(level, name.to_bytes());
        if let Some(root) = self.roots[roots].iter().find(|root| root.len() > self.stack.len()) {
            let root: Vec<&[u8]> = root.iter().map(|part| part.as_bytes()).collect();
            let root = root.join(&b'/');
            issue.why = format!("{}; it leads to the selected /{}", issue.why, ShownPath(&root));
        }
        issue
    }

    fn enter(&mut self, entrance: Entrance) {
        if self.stays_outside(&entrance) {
            return self.back_to_top();
        }
        let entered = match entrance.is_new_volume {
            true => self.enter_volume(entrance),
            false => Ok(entrance),
        };
        match entered.and_then(|entrance| self.open_level(entrance).map_err(|error| issue(&self.path, error))) {
            Ok(level) => {
                self.stack.push(level);
                self.close_one_above();
            }
            Err(issue) => {
                self.ready.push_back(Step::Issue(issue));
                self.back_to_top();
            }
        }
    }

    /// Enters a volume at its first directory, which from then on is the one in its snapshot, if it has one. What is only
    /// passed on the way to what is selected is read where it is, and not told.
    fn enter_volume(&mut self, mut entrance: Entrance) -> Result<Entrance, WalkIssue> {
        let Entrance { parent, name, meta, .. } = &entrance;
        if matches!(entrance.scope, Scope::Above(_)) && !self.entered.is_selected(meta.dev) {
            return Ok(entrance);
        }
        let failed = |error| issue(&self.path, error);
        // What lies above something selected need not be readable.
        let directory = open_quietly(parent, name.as_bytes(), LISTABLE, meta.uid)
            .or_else(|_| openat(parent, name, HANDLE, Mode::empty()))
            .map_err(failed)?;
        check_identity(&directory, (meta.dev, meta.ino)).map_err(failed)?;
        let mounts = self.file_systems.mounts();
        let volume = self.entered.enter(&directory, meta, &self.path, mounts);
        entrance.volume = volume.map_err(|why| WalkIssue {
            path: self.path.clone(),
            kind: IssueKind::NoSnapshot,
            why: format!(
                "there is no snapshot to read it from: {why}. Read it while it may change, with --snapshot auto, or leave it out"
            ),
        })?;
        if let Some(inside) = &entrance.volume.snapshot {
            entrance.meta = Meta::of_open(&inside.start).map_err(failed)?;
            (entrance.parent, entrance.name) = (Arc::clone(&inside.start), c".".into());
        }
        Ok(entrance)
    }

    /// Whether a mount point is not to be crossed.
    fn stays_outside(&mut self, entrance: &Entrance) -> bool {
        let Scope::Inside(inside) = &entrance.scope else {
            return false;
        };
        let Some(parent) = self.stack.last() else { return false };
        let device = entrance.volume.device_of(&entrance.meta);
        if entrance.is_root || device == parent.volume.device {
            return false;
        }
        let rule = if self.rules.one_file_system && device != inside.device {
            Rule::OtherFileSystem
        } else {
            match self.file_systems.crossing(device, &entrance.parent, &entrance.name) {
                Crossing::Enter => return false,
                Crossing::Pseudo => Rule::PseudoFileSystem,
                Crossing::Volume(kind, volume) => {
                    self.tell_not_allowed(kind, &volume);
                    Rule::Volume(kind)
                }
            }
        };
        let path = self.path.clone();
        self.ready.push_back(Step::LeftOut(LeftOut { path, rule }));
        true
    }

    fn tell_not_allowed(&mut self, kind: VolumeKind, volume: &str) {
        let (path, switch) = (self.path.clone(), kind.as_str().to_ascii_lowercase());
        let why = format!(
            "what is in it was left out, for it is on {volume}: take it with --allow {switch}, or leave it out for good with \
             --exclude /{}",
            ShownPath(&path)
        );
        let kind = IssueKind::NotAllowed;
        self.ready.push_back(Step::Issue(WalkIssue { path, kind, why }));
    }

    fn open_level(&mut self, entrance: Entrance) -> Result<Level, Errno> {
        let Entrance {
            parent,
            name,
            meta,
            volume,
            scope,
            is_root,
            unannounced,
            ..
        } = entrance;
        let (directory, listing) = match &scope {
            Scope::Above(roots) => {
                let directory = openat(&parent, &name, HANDLE, Mode::empty())?;
                (directory, self.names_above(roots.clone()))
            }
            Scope::Inside(_) => {
                let directory = open_quietly(&parent, name.as_bytes(), LISTABLE, meta.uid)?;
                let (mut listing, error) = Listing::read(&directory, &mut self.buffer);
                self.ready
                    .extend(error.map(|error| Step::Issue(issue(&self.path, error))));
                if !is_root {
                    self.leave_out_marked(&directory, &mut listing);
                }
                (directory, listing)
            }
        };
        check_identity(&directory, (meta.dev, meta.ino))?;
        Ok(Level {
            directory: Some(Arc::new(directory)),
            identity: (meta.dev, meta.ino),
            volume,
            path_length: self.path.len(),
            listing,
            passed: 0,
            scope,
            unannounced,
        })
    }

    /// The names that lead from a directory to the roots below it.
    fn names_above(&self, roots: Range<usize>) -> Listing {
        let depth = self.stack.len();
        let mut names: Vec<&CStr> = self.roots[roots].iter().map(|root| root[depth].as_c_str()).collect();
        names.dedup();
        Listing::of_names(names)
    }

    fn leave_out_marked(&mut self, directory: &OwnedFd, listing: &mut Listing) {
        let mut markers = self.rules.markers.iter();
        let marks = |marker: &&Marker| listing.contains(marker.name()) && marker.is_valid_in(directory);
        if let Some(marker) = markers.find(marks) {
            let rule = Rule::Marked {
                marker: marker.name().to_vec(),
                entries: listing.keep_only(marker.name()),
            };
            let path = self.path.clone();
            self.ready.push_back(Step::LeftOut(LeftOut { path, rule }));
        }
    }

    /// Keeps the number of open directories bounded. The present one and those right above it are
    /// the ones in use.
    fn close_one_above(&mut self) {
        if let Some(index) = self.stack.len().checked_sub(OPEN_DIRECTORIES_MAX + 1) {
            self.stack[index].directory = None;
            // What waits to be handed out keeps the directory above it open.
            if self.stack[index + 1].unannounced.is_some() {
                self.announce_above();
            }
        }
    }

    fn leave(&mut self) {
        let left = self.stack.pop();
        self.back_to_top();
        let Some(left) = left.and_then(|level| level.directory) else {
            return;
        };
        while let Some(level) = self.stack.last_mut()
            && level.directory.is_none()
        {
            match open_again(&left, &self.path, level) {
                Ok(directory) => level.directory = Some(Arc::new(directory)),
                Err(error) => {
                    self.ready.push_back(Step::Issue(issue(&self.path, error)));
                    self.stack.pop();
                    self.back_to_top();
                }
            }
        }
    }

    fn back_to_top(&mut self) {
        self.path
            .truncate(self.stack.last().map_or(0, |level| level.path_length));
    }
}

fn issue(path: &[u8], error: Errno) -> WalkIssue {
    let kind = match error {
        Errno::NOENT | Errno::STALE => IssueKind::Vanished,
        _ => IssueKind::Unreadable,
    };
    WalkIssue {
        path: path.to_vec(),
        kind,
        why: std::io::Error::from(error).to_string(),
    }
}

fn join(directory: &[u8], name: &CStr) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.count_bytes());
    if !directory.is_empty() {
        path.extend_from_slice(directory);
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    path
}
