//! The page that restores a machine's data when all else is lost, for people: as text, and as a page for a browser.

use jiff::Timestamp;
use qrcodegen::{QrCode, QrCodeEcc};
use serde::{Serialize, Serializer};
use strongroom_model::{ItemId, KeySetId, MachineName, VaultId};
use zeroize::Zeroizing;

use crate::terminal::moment;

/// White modules around a code: what scanners want.
const QUIET: i32 = 4;

/// What stands on a sheet.
#[derive(Serialize)]
pub(crate) struct RecoverySheet {
    pub(crate) service: String,
    /// Fingerprint of the authority that issues the service's certificate.
    pub(crate) authority: String,
    pub(crate) vault: String,
    pub(crate) vault_id: VaultId,
    pub(crate) machine: MachineName,
    pub(crate) item: ItemId,
    pub(crate) key_set: KeySetId,
    pub(crate) made: Timestamp,
    /// The rows of the recovery key.
    #[serde(serialize_with = "revealed")]
    pub(crate) recovery_key: Option<Vec<Zeroizing<String>>>,
}

fn revealed<S: Serializer>(rows: &Option<Vec<Zeroizing<String>>>, serializer: S) -> Result<S::Ok, S::Error> {
    let rows = rows.as_ref();
    serializer.collect_seq(rows.into_iter().flatten().map(|row| row.as_str()))
}

impl RecoverySheet {
    /// The sheet as text, with a code to scan made of blocks.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let code = self.code().map_or(String::new(), |code| blocks(&code));
        Zeroizing::new(format!("{}\n{}{code}\n{}", self.facts(), *self.key(), self.steps()))
    }

    /// The sheet as a page of HTML that needs nothing else.
    pub(crate) fn to_html(&self) -> Zeroizing<String> {
        let code = self.code().map_or(String::new(), |code| picture(&code));
        Zeroizing::new(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Recovery sheet of {}</title>\n\
             <style>body {{ margin: 2em }} pre {{ font-size: 10pt; white-space: pre-wrap }} svg {{ width: 4.5cm }}</style>\n\
             </head>\n<body>\n<pre>{}\n{}</pre>\n{code}<pre>{}</pre>\n</body>\n</html>\n",
            escaped(self.machine.as_str()),
            escaped(&self.facts()),
            escaped(&self.key()),
            escaped(&self.steps()),
        ))
    }

    fn facts(&self) -> String {
        let Self {
            service,
            authority,
            vault,
            vault_id,
            machine,
            item,
            key_set,
            ..
        } = self;
        format!(
            "STRONGROOM RECOVERY SHEET                          made {}\n\n\
             Machine    {machine}\n           {item}\nVault      {vault}\n           {vault_id}\nKey set    {key_set}\n\
             Service    {service}\nAuthority  {authority}\n",
            moment(self.made)
        )
    }

    fn key(&self) -> Zeroizing<String> {
        let Some(rows) = &self.recovery_key else {
            return Zeroizing::new(
                "This sheet has no recovery key: the passphrase is needed, which is kept elsewhere.\n".to_owned(),
            );
        };
        let mut text = Zeroizing::new(
            "RECOVERY KEY - whoever reads it can read all that was backed up with it. Lock it away.\n\n".to_owned(),
        );
        for (number, row) in (1..).zip(rows) {
            text.push_str(&format!("    {number}   {}\n", row.as_str()));
        }
        text
    }

    fn steps(&self) -> String {
        let Self { vault, machine, .. } = self;
        let (option, type_it) = match self.recovery_key {
            Some(_) => (
                "--recovery-key-file -",
                "   and type the four rows of the recovery key, or scan the code; then Ctrl-D. Small or\n   capital letters, \
                 spaces and dashes do not matter; the letter O is read as 0, I and L as 1.\n",
            ),
            None => (
                "--passphrase-file FILE",
                "   FILE is one whose first line is the passphrase.\n",
            ),
        };
        let store = "strongroom rescue --store FOLDER";
        format!(
            "TO RESTORE ON ANOTHER MACHINE\n\n\
             1. Install strongroom there.\n\
             2. Ask whoever manages the vault for a vault credentials file, which is good for 10 days:\n   \
             strongroom vault credentials {vault} --output vault.credentials\n\
             3. Register that machine, under a name of its own:\n   \
             strongroom agent register --credentials vault.credentials --name NAME {option}\n{type_it}\
             4. See what there is, and restore:\n   \
             strongroom points --machine {machine}\n   \
             strongroom restore latest --machine {machine} --to /srv/restored\n\
             5. If the passphrase is lost, give the key a new one: strongroom agent passphrase\n\n\
             IF THE SERVICE IS GONE, AND ONLY THE OBJECTS OF THE VAULT ARE LEFT, IN A FOLDER\n\n   \
             {store} {option} points\n   \
             {store} {option} restore POINT --to /srv/restored\n"
        )
    }

    /// The recovery key in one line, to be scanned.
    fn code(&self) -> Option<QrCode> {
        let rows: Vec<&str> = self.recovery_key.as_ref()?.iter().map(|row| row.as_str()).collect();
        let line = Zeroizing::new(rows.join(" "));
        let code = QrCode::encode_text(&line, QrCodeEcc::Quartile);
        Some(code.expect("a recovery key is short enough for a code"))
    }
}

/// Two rows of modules a line.
fn blocks(code: &QrCode) -> String {
    let mut text = String::from("\n");
    for y in (-QUIET / 2..code.size()).step_by(2) {
        text.push_str("    ");
        text.extend(
            (0..code.size()).map(|x| match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            }),
        );
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

fn picture(code: &QrCode) -> String {
    let size = code.size() + 2 * QUIET;
    let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let path: String = dark
        .filter(|&(x, y)| code.get_module(x, y))
        .map(|(x, y)| format!("M{},{}h1v1h-1z", x + QUIET, y + QUIET))
        .collect();
    format!(
        "<svg viewBox=\"0 0 {size} {size}\"><path fill=\"#fff\" d=\"M0,0h{size}v{size}h-{size}z\"/>\
         <path d=\"{path}\"/></svg>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
