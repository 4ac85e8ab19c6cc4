//! `strongroom audit`: who did what.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use strongroom_api::{AuditLine, AuditPage, AuditQuery, Client};

use crate::admin_session::AdminSession;
use crate::cli::Global;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::terminal::{self, Table, Terminal};

/// Read the audit log: what people and service principals changed, were refused, and when they signed in
///
/// The log is only ever appended to. Reading it takes the role Owner on the subscription.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    List(List),
    Export(Export),
}

/// List lines of the log, oldest first
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom audit list --since 2026-11-01T00:00:00Z --principal eve")]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,
    /// At most so many lines
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

/// Write the log to the standard output, one JSON object a line
///
/// Each line has a number; the next export can go on behind the last one.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom audit export >audit.jsonl
  strongroom audit export --after 1200 >>audit.jsonl")]
pub(crate) struct Export {
    #[command(flatten)]
    filter: Filter,
}

#[derive(Debug, Args)]
struct Filter {
    /// Not before this moment
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this moment
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only of this user or service principal: a name or an id
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// Only this action, such as Microsoft.RecoveryServices/Vaults/write
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only lines behind the one with this number
    #[arg(long, value_name = "NUMBER")]
    after: Option<i64>,
}

impl Filter {
    fn query(self, limit: Option<u32>) -> AuditQuery {
        AuditQuery {
            since: self.since,
            until: self.until,
            principal: self.principal,
            action: self.action,
            after: self.after,
            limit,
        }
    }
}

impl Audit {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let client = AdminSession::client(global)?;
        match self {
            Self::List(List { filter, limit }) => {
                let query = filter.query(Some(limit));
                let page = block_on(async { Ok(client.audit(&query).await?) })?;
                terminal.result(&page, table)?;
            }
            Self::Export(Export { filter }) => export(&client, filter.query(None))?,
        }
        Ok(Outcome::Done)
    }
}

fn table(page: &AuditPage) -> String {
    let mut table = Table::new(&["TIME", "WHO", "ACTION", "PATH", ">STATUS", "FROM"]);
    for line in &page.lines {
        table.row([
            terminal::moment(line.time),
            who(line),
            line.action.clone(),
            line.path.clone(),
            line.status.to_string(),
            line.peer.clone(),
        ]);
    }
    let next = page.next.map(|next| format!("\nThere may be more: --after {next}"));
    table.to_text() + &next.unwrap_or_default()
}

fn who(line: &AuditLine) -> String {
    match (line.kind, line.name.as_str()) {
        (Some(_), name) => name.to_owned(),
        (None, "") => "nobody".to_owned(),
        (None, name) => format!("nobody (as {name})"),
    }
}

fn export(client: &Client, mut query: AuditQuery) -> Result<(), Failure> {
    block_on(async {
        loop {
            let page = client.audit(&query).await?;
            let mut out = io::stdout().lock();
            for line in &page.lines {
                match writeln!(out, "{}", serde_json::to_string(line)?) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    written => written?,
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(out.flush()?),
            }
        }
    })
}
