//! The rules of keeping. A vault takes in packs and recovery points, hands them back, and looks after what it cannot read.
//! No HTTP here, and no keys: this crate cannot open anything.
//!
//! What holds at every instant, whatever crashes:
//! - **Data before the row that names it.** An object is durable before a row says that it is there; an answer comes after both.
//! - **A recovery point exists from the instant its row is committed**, and by then everything below its root was seen to be there.
//! - **Every byte is checked** when it arrives, before it leaves, and by scrubs, against the hash that names it.
//! - **A machine can only add.** No function that takes a [`ContainerId`](strongroom_model::ContainerId) deletes a row or
//!   an object, or replaces an object by other bytes; but for the lease of its own session, and what a person has given a
//!   security PIN for ([`Pinned`]). Ids of others are answered like ids of nothing.
//! - **Everything may run twice**: a client whose line was cut before the answer came says it again.
//!
//! # Whatever runs at the same time
//!
//! Each pair of concurrent operations, and what guards it. "Rows" = a single writer, and statements that state their own
//! condition. "Gate" = [`gate`]: one at a time for each name, in this process.
//!
//! | | put_pack | commit | add_key_set | fetch, scrub | delete vault |
//! | --- | --- | --- | --- | --- | --- |
//! | **put_pack** | twins: same name, hence same bytes; the second finds the row, or its insert does nothing. Overlapping packs: of the later one only what is new is stored; at the same time, a blob stays where it was first, and the other copy is surplus | a commit sees a pack's blobs all or not at all (one transaction); later ones it calls missing, the client sends again | nothing shared | rows appear after the object is durable and never change place | refused while a machine is registered; rows: `packs` refers to `vaults`, so an insert after the deletion fails and leaves an object without a row |
//! | **commit** | see left | gate of the item from "is the id free?" to the row: the object of a committed point is never replaced. Rows: the item's latest is compared and swapped, one of two wins, the other learns the predecessor | the key set's row is there before a machine is a member; it never goes | pages are marked verified before the point exists, bottom first; a mark is true with or without the point | refused while a machine is registered or an item is not soft-deleted |
//! | **add_key_set** | nothing shared | see left | gate of the key set: a set that has its row is never replaced | object before row | refused while a container is there |
//! | **register** | – | – | – | – | rows: `containers` refers to `vaults`; either comes first, and the other fails |
//! | **session renewal, end** | the lease is looked at when a call begins: a pack that arrives in a lease that ends meanwhile is kept | looked at again in the transaction that makes the point exist | – | need no session | refused while a container is there |
//! | **unregister** | a pack on its way is kept and surplus | rows: both lock the item; a commit after it finds its session gone | – | points are read until then | rows: whichever is first; the vault's own deletion counts machines and items under their locks |
//! | **session begin** | waits for packs of this machine that are being taken in (`Corridors`), so that `missing` knows them | – | – | – | – |
//!
//! Nothing collects yet. Collection must keep: a page that is marked verified keeps all below it, or loses its mark before.
//! Several nodes need the two gates as rows with leases; everything else here holds for them already.

#![forbid(unsafe_code)]

mod alerts;
mod blocking;
mod clock;
mod commit;
mod damage;
mod deleted_vaults;
mod error;
mod expire;
mod export;
mod fetch;
mod fresh;
mod gate;
mod guards;
mod ingest;
mod items;
mod jobs;
mod key_sets;
mod layout;
mod machine_settings;
mod machines;
mod pins;
mod points;
mod policies;
mod ranges;
mod scrub;
mod sessions;
mod vaults;
mod virtual_machines;
mod walk;

pub use clock::ClockLook;
pub use commit::Committed;
pub use damage::Damage;
pub use error::VaultError;
pub use expire::Pass;
pub use export::PointExport;
pub use fetch::{FetchStream, Fetched};
pub use fresh::Entropy;
pub use guards::Subject;
pub use ingest::PutOutcome;
pub use items::{ItemChanged, Stop};
pub use jobs::Work;
pub use key_sets::{KEY_SETS_PER_CONTAINER_MAX, StoredKeySet};
pub use layout::{key_set_key, pack_key, point_key, vault_file_key};
pub use machine_settings::NewMachineSettings;
pub use pins::{PinHash, Pinned};
pub use points::PointFilter;
pub use sessions::{LEASE_DEFAULT, Session};
pub use strongroom_db::{
    Actor, AlertQuery, AlertRow, ApprovalRow, ApprovalsOf, Container, Dispatched, DueItem, GuardRow, Hosted, IDS_MAX,
    ItemQuery, ItemRow, JobQuery, JobReport, JobRow, KeySetMember, NotificationsRow, PointRow, PolicyRow, VaultFigures,
    VaultRow, Viewer, VirtualMachineRow,
};
pub use vaults::{NewVault, Options, Stores, VaultInfo, Vaults};
