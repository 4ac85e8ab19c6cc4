//! Azure's command line, the real one, on a configuration of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::common::world::World;

/// Where `scripts/azure-clients` has put the clients; it installs them the first time, which takes minutes.
pub fn clients() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/azure-clients");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

/// A shell that `az` is called from.
pub struct Az<'a> {
    world: &'a World,
    python: PathBuf,
    configuration: PathBuf,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How a call ended.
pub struct Called {
    what: String,
    pub ok: bool,
    pub stdout: String,
    pub stderr: String,
}

impl<'a> Az<'a> {
    /// One that knows the service as the cloud `Lab`.
    pub fn new(world: &'a World) -> Self {
        let az = Self {
            world,
            python: clients().join("cli/bin/python"),
            // A configuration of its own: az keeps tokens, and does not notice a wrong secret after a right one.
            configuration: world.folder(&format!("azure-{}", NEXT.fetch_add(1, Ordering::Relaxed))),
        };
        az.run(&[
            "cloud",
            "register",
            "-n",
            "Lab",
            "--endpoint-resource-manager",
            &world.service.url,
        ])
        .done();
        az.run(&["cloud", "set", "-n", "Lab"]).done();
        az
    }

    /// One whose administrator is signed in.
    pub fn signed_in(world: &'a World) -> Self {
        let az = Self::new(world);
        let password = std::fs::read_to_string(&world.service.password_file).unwrap();
        let login = az
            .run(&["login", "-u", "admin", "-p", password.trim(), "--tenant", &az.tenant()])
            .done();
        assert_eq!(login[0]["user"]["name"], "admin");
        az
    }

    /// One that a service principal with this role is signed in to.
    pub fn as_principal(world: &'a World, name: &str, role: &str, scope: &str) -> Self {
        let az = Self::new(world);
        let (id, secret) = az.principal(name, role, scope);
        let login = az
            .run(&[
                "login",
                "--service-principal",
                "-u",
                &id,
                "-p",
                &secret,
                "--tenant",
                &az.tenant(),
            ])
            .done();
        assert_eq!(login[0]["user"]["type"], "servicePrincipal");
        az
    }

    /// A new service principal with a role: its id and its secret.
    pub fn principal(&self, name: &str, role: &str, scope: &str) -> (String, String) {
        let made = self.world.admin(&["principal", "create", name]).done();
        let file = self.world.path(&format!("{name}.secret"));
        let add = ["principal", "add-secret", name, "--output", file.to_str().unwrap()];
        self.world.admin(&add).done();
        self.world
            .admin(&["role", "assign", role, "--to", name, "--scope", scope])
            .done();
        let secret = std::fs::read_to_string(file).unwrap();
        (made["id"].as_str().unwrap().to_owned(), secret.trim().to_owned())
    }

    /// Signs somebody in who types the code that `az` shows in a browser elsewhere.
    pub fn sign_in_by_code(&self, name: &str, password_file: &Path) -> Called {
        let tenant = self.tenant();
        let mut command = self.environment(Command::new(&self.python));
        let mut login = command
            .args(["-m", "azure.cli", "login", "--use-device-code", "--tenant", &tenant])
            // It shows the code as a warning.
            .env("AZURE_CORE_ONLY_SHOW_ERRORS", "no")
            .env("AZURE_CORE_LOGIN_EXPERIENCE_V2", "no")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(login.stderr.take().unwrap()).lines().map(Result::unwrap);
        let prompt: String = said.by_ref().find(|line| line.contains("/device")).unwrap_or_default();
        let is_code = |word: &&str| word.len() == 9 && word.as_bytes()[4] == b'-';
        let mut words = prompt.split_whitespace().map(|word| word.trim_end_matches('.'));
        let code = words.find(is_code);
        let code = code.unwrap_or_else(|| panic!("no code in {prompt:?}"));
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/azure/browser.py");
        let mut browser = self.environment(Command::new(&self.python));
        browser
            .args([program, &self.world.service.url, code, name])
            .stdin(std::fs::File::open(password_file).unwrap());
        Called::of("browser.py".to_owned(), browser).done();
        let stderr: Vec<String> = said.collect();
        let output = login.wait_with_output().unwrap();
        Called {
            what: "az login --use-device-code".to_owned(),
            ok: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: stderr.join("\n"),
        }
    }

    /// The tenant, as the service says it to whoever asks.
    pub fn tenant(&self) -> String {
        let cloud = self.run(&["cloud", "show", "-n", "Lab"]).done();
        cloud["endpoints"]["activeDirectory"]
            .as_str()
            .expect("it has a login endpoint");
        let program = "import requests,sys;print(requests.get(sys.argv[1]).json()['authentication']['tenant'])";
        let output = self
            .environment(Command::new(&self.python))
            .args(["-c", program, &format!("{}/metadata/endpoints", self.world.service.url)])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    pub fn run(&self, arguments: &[&str]) -> Called {
        let mut command = self.environment(Command::new(&self.python));
        command.args(["-m", "azure.cli"]).args(arguments);
        Called::of(format!("az {}", arguments.join(" ")), command)
    }

    /// `az backup …`, of which JSON is expected.
    #[track_caller]
    pub fn backup(&self, arguments: &[&str]) -> Value {
        self.run(&[&["backup"], arguments].concat()).done()
    }

    fn environment(&self, mut command: Command) -> Command {
        command
            .env("AZURE_CONFIG_DIR", &self.configuration)
            .env("REQUESTS_CA_BUNDLE", &self.world.service.ca_file)
            .env("NODE_EXTRA_CA_CERTS", &self.world.service.ca_file)
            .env("AZURE_CLIENTS", clients())
            .env("AZURE_CORE_COLLECT_TELEMETRY", "no")
            .env("AZURE_CORE_ONLY_SHOW_ERRORS", "yes")
            .env("NO_PROXY", "*")
            .stdin(Stdio::null());
        command
    }

    /// A program with an SDK, for the same service, subscription and person.
    pub fn sdk(&self, interpreter: &Path, program: &str) -> Called {
        let account = self.run(&["account", "show"]).done();
        let token = self.run(&["account", "get-access-token"]).done();
        let given = [&account["id"], &token["accessToken"]].map(|value| value.as_str().unwrap());
        let mut command = self.environment(Command::new(interpreter));
        command
            .arg(format!("{}/tests/azure/{program}", env!("CARGO_MANIFEST_DIR")))
            .arg(&self.world.service.url)
            .args(given);
        Called::of(program.to_owned(), command)
    }
}

impl Called {
    fn of(what: String, mut command: Command) -> Self {
        let output = command.output().unwrap();
        Self {
            what,
            ok: output.status.success(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It succeeded; what it printed, null for nothing.
    #[track_caller]
    pub fn done(&self) -> Value {
        assert!(self.ok, "{}:\n{}", self.what, self.stderr);
        match self.stdout.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.what)),
        }
    }

    /// It was refused with this code.
    #[track_caller]
    pub fn refused(&self, code: &str) {
        assert!(!self.ok, "{} succeeded: {}", self.what, self.stdout);
        assert!(
            self.stderr.contains(code),
            "{}: not {code} but\n{}",
            self.what,
            self.stderr
        );
    }
}
