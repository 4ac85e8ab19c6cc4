//! The one table of routes. A route that is not here does not exist; a route here cannot lack a permission.

use std::fmt::Display;

pub use reqwest::Method;
use strongroom_model::Permission;

use crate::{FORM_BYTES_MAX, IDENTITIES_MAX, JSON_BYTES_MAX, KEY_SET_BYTES_MAX, PACK_BYTES_MAX, POINT_BYTES_MAX};

/// One route of the service.
#[derive(Debug, Clone)]
pub struct Route {
    /// Names the route in code: the service matches a handler to each of these.
    pub id: RouteId,
    /// The HTTP method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// What a caller must hold.
    pub permission: Permission,
    /// One line for people: what the route does.
    pub summary: &'static str,
    /// What the request carries.
    pub request: Body,
    /// The status of success.
    pub status: u16,
    /// What a successful response carries.
    pub response: Body,
}

/// What a request or a response carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON of the named type of this crate.
    Json(&'static str),
    /// A form (`application/x-www-form-urlencoded`) of the named type of this crate.
    Form(&'static str),
    /// Plain text.
    Text,
    /// A page for a browser.
    Page,
    /// Bytes, at most so many.
    Octets {
        /// The longest body, in bytes.
        bytes_max: usize,
    },
    /// A stream of frames, see [`crate::Frame`].
    Frames,
}

impl Body {
    /// The longest body of this kind, in bytes.
    pub const fn bytes_max(self) -> usize {
        match self {
            Body::Empty => 0,
            Body::Form(_) => FORM_BYTES_MAX,
            Body::Json(_) | Body::Text | Body::Page => JSON_BYTES_MAX,
            Body::Octets { bytes_max } => bytes_max,
            Body::Frames => usize::MAX,
        }
    }
}

const IDENTITIES: Body = Body::Octets {
    bytes_max: IDENTITIES_MAX * 32,
};

macro_rules! routes {
    ($($id:ident: $method:ident $path:literal, $permission:ident, $request:expr => $status:literal $response:expr, $summary:literal;)*) => {
        /// Names a route in code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RouteId {
            $(#[doc = $summary] $id,)*
        }

        /// All routes, in the order of [`RouteId`].
        pub static ROUTES: &[Route] = &[$(Route {
            id: RouteId::$id,
            method: Method::$method,
            path: $path,
            permission: Permission::$permission,
            summary: $summary,
            request: $request,
            status: $status,
            response: $response,
        },)*];
    };
}

routes! {
    Healthz: GET "/healthz", Public, Body::Empty => 200 Body::Text, "Says that the process lives";
    Readyz: GET "/readyz", Public, Body::Empty => 200 Body::Text, "Says that database and store work";
    Metrics: GET "/metrics", Public, Body::Empty => 200 Body::Text, "Counts for Prometheus, without a name in them";
    Token: POST "/api/v1/token", Public, Body::Form("TokenRequest") => 200 Body::Json("TokenResponse"), "Signs in: a password, a refresh token or a machine's assertion for a short-lived token";
    ChangePassword: POST "/api/v1/password", PasswordChange, Body::Json("ChangePassword") => 200 Body::Json("PasswordChanged"), "Changes the caller's own password, by the present one; every session ends, and a new one begins";
    DeviceAuthorization: POST "/api/v1/device_authorization", Public, Body::Form("DeviceAuthorizationRequest") => 200 Body::Json("DeviceAuthorization"), "Begins a sign-in that a person finishes in a browser elsewhere";
    DevicePage: GET "/device", Public, Body::Empty => 200 Body::Page, "The page on which a person types a device code";
    DeviceForm: POST "/device", Public, Body::Form("DeviceForm") => 200 Body::Page, "Signs the person in and lets the program go on that waits for the code";
    AuthorizePage: GET "/authorize", Public, Body::Empty => 200 Body::Page, "The page on which a person signs in for a program";
    AuthorizeForm: POST "/authorize", Public, Body::Form("AuthorizeForm") => 303 Body::Empty, "Signs the person in and sends the browser back to the program with a code";
    ExternalBack: GET "/external/{provider}", Public, Body::Empty => 303 Body::Empty, "Takes a person who comes back from another provider of sign-in, and goes on with what was begun";
    PasswordLinkPage: GET "/welcome", Public, Body::Empty => 200 Body::Page, "The page on which a person sets a password by a link";
    PasswordLinkForm: POST "/welcome", Public, Body::Form("PasswordLinkForm") => 200 Body::Page, "Sets the password, and uses the link up";
    BeginOneTimePasswords: POST "/api/v1/account/one-time-passwords", PasswordChange, Body::Json("BeginOneTimePasswords") => 201 Body::Json("OneTimePasswordSecret"), "Makes a secret for the caller's authenticator";
    ConfirmOneTimePasswords: POST "/api/v1/account/one-time-passwords/confirm", PasswordChange, Body::Json("ConfirmOneTimePasswords") => 200 Body::Json("RecoveryCodes"), "Asks for one-time passwords from now on, if the caller has the right one";
    EndOneTimePasswords: POST "/api/v1/account/one-time-passwords/end", PasswordChange, Body::Json("EndOneTimePasswords") => 204 Body::Empty, "Asks the caller for no one-time passwords any more";
    ShowAccount: GET "/api/v1/account", OwnAccount, Body::Empty => 200 Body::Json("AccountView"), "Shows the caller's own account, with its roles";
    ListUsers: GET "/api/v1/users", UsersManage, Body::Empty => 200 Body::Json("UserList"), "Lists the users";
    CreateUser: POST "/api/v1/users", UsersManage, Body::Json("CreateUser") => 201 Body::Json("CreatedUser"), "Creates a user, who may do nothing until a role is assigned; without a password, the user is invited to set one";
    ShowUser: GET "/api/v1/users/{user}", UsersManage, Body::Empty => 200 Body::Json("UserView"), "Shows one user";
    ChangeUser: PATCH "/api/v1/users/{user}", UsersManage, Body::Json("ChangeUser") => 200 Body::Json("UserView"), "Disables a user, enables one again, or changes the address";
    DeleteUser: DELETE "/api/v1/users/{user}", UsersManage, Body::Empty => 204 Body::Empty, "Deletes a user, with the user's roles";
    InviteUser: POST "/api/v1/users/{user}/invitation", UsersManage, Body::Empty => 201 Body::Json("Invitation"), "Makes a link by which a user sets a password, once, and mails it if that is possible";
    LinkIdentity: POST "/api/v1/users/{user}/identities", UsersManage, Body::Json("LinkIdentity") => 201 Body::Json("IdentityView"), "Lets a person whom another provider vouches for sign in as the user";
    UnlinkIdentity: DELETE "/api/v1/users/{user}/identities/{identity}", UsersManage, Body::Empty => 204 Body::Empty, "Takes an identity off a user, and ends the user's sessions";
    ResetOneTimePasswords: DELETE "/api/v1/users/{user}/one-time-passwords", UsersManage, Body::Empty => 204 Body::Empty, "Takes the one-time passwords off a user who lost the authenticator and all recovery codes";
    ListServicePrincipals: GET "/api/v1/service-principals", UsersManage, Body::Empty => 200 Body::Json("ServicePrincipalList"), "Lists the service principals";
    CreateServicePrincipal: POST "/api/v1/service-principals", UsersManage, Body::Json("CreateServicePrincipal") => 201 Body::Json("ServicePrincipalView"), "Creates a service principal, which can neither sign in nor do anything yet";
    ShowServicePrincipal: GET "/api/v1/service-principals/{principal}", UsersManage, Body::Empty => 200 Body::Json("ServicePrincipalView"), "Shows one service principal";
    ChangeServicePrincipal: PATCH "/api/v1/service-principals/{principal}", UsersManage, Body::Json("ChangeServicePrincipal") => 200 Body::Json("ServicePrincipalView"), "Disables a service principal, or enables one again";
    DeleteServicePrincipal: DELETE "/api/v1/service-principals/{principal}", UsersManage, Body::Empty => 204 Body::Empty, "Deletes a service principal, with its keys and roles";
    AddSecret: POST "/api/v1/service-principals/{principal}/secrets", UsersManage, Body::Json("AddSecret") => 201 Body::Json("AddedSecret"), "Makes a secret for a service principal and tells it once";
    AddCertificate: POST "/api/v1/service-principals/{principal}/certificates", UsersManage, Body::Json("AddCertificate") => 201 Body::Json("KeyView"), "Takes a certificate by which a service principal signs in";
    DeleteKey: DELETE "/api/v1/service-principals/{principal}/keys/{key}", UsersManage, Body::Empty => 204 Body::Empty, "Removes a secret or certificate of a service principal";
    ListRoles: GET "/api/v1/roles", OwnAccount, Body::Empty => 200 Body::Json("RoleDefinitionList"), "Lists the roles and what they allow";
    ListAssignments: GET "/api/v1/role-assignments", RolesRead, Body::Empty => 200 Body::Json("AssignmentList"), "Lists who has which role, as far as the caller may see it";
    AssignRole: POST "/api/v1/role-assignments", RolesWrite, Body::Json("AssignRole") => 201 Body::Json("AssignmentView"), "Gives a role on the subscription, a resource group or a vault";
    RemoveAssignment: DELETE "/api/v1/role-assignments/{assignment}", RolesDelete, Body::Empty => 204 Body::Empty, "Takes a role away";
    ListResourceGroups: GET "/api/v1/resource-groups", ResourceGroupsRead, Body::Empty => 200 Body::Json("ResourceGroupList"), "Lists the resource groups that the caller may see";
    CreateResourceGroup: POST "/api/v1/resource-groups", ResourceGroupsWrite, Body::Json("CreateResourceGroup") => 201 Body::Json("ResourceGroupView"), "Creates a resource group";
    ShowResourceGroup: GET "/api/v1/resource-groups/{group}", ResourceGroupsRead, Body::Empty => 200 Body::Json("ResourceGroupView"), "Shows one resource group";
    DeleteResourceGroup: DELETE "/api/v1/resource-groups/{group}", ResourceGroupsDelete, Body::Empty => 204 Body::Empty, "Deletes a resource group that no vault is in";
    ListGuards: GET "/api/v1/resource-groups/{group}/guards", GuardsRead, Body::Empty => 200 Body::Json("GuardList"), "Lists the resource guards of a resource group";
    CreateGuard: POST "/api/v1/resource-groups/{group}/guards", GuardsWrite, Body::Json("CreateGuard") => 201 Body::Json("GuardView"), "Makes a resource guard: vaults under it need a second person for what takes protection away";
    ShowGuard: GET "/api/v1/resource-groups/{group}/guards/{guard}", GuardsRead, Body::Empty => 200 Body::Json("GuardView"), "Shows one resource guard";
    DeleteGuard: DELETE "/api/v1/resource-groups/{group}/guards/{guard}", GuardsDelete, Body::Empty => 204 Body::Empty, "Deletes a resource guard that no vault is under";
    GuardApprovals: GET "/api/v1/resource-groups/{group}/guards/{guard}/approvals", GuardsRead, Body::Empty => 200 Body::Json("ApprovalList"), "Lists what is asked of a resource guard, newest first";
    Approve: POST "/api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/approve", ApprovalsDecide, Body::Empty => 200 Body::Json("ApprovalView"), "Allows what another person asked for, once and for an hour";
    Deny: POST "/api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/deny", ApprovalsDecide, Body::Empty => 200 Body::Json("ApprovalView"), "Does not allow what was asked for";
    ReadAudit: GET "/api/v1/audit", AuditRead, Body::Empty => 200 Body::Json("AuditPage"), "Reads the audit log, page by page";
    ExportAudit: GET "/api/v1/audit/export", AuditRead, Body::Empty => 200 Body::Text, "Streams the audit log, one JSON object a line";
    ListVaults: GET "/api/v1/vaults", VaultsRead, Body::Empty => 200 Body::Json("VaultList"), "Lists the vaults that the caller may see";
    CreateVault: POST "/api/v1/vaults", VaultsWrite, Body::Json("CreateVault") => 201 Body::Json("VaultView"), "Creates a vault";
    ShowVault: GET "/api/v1/vaults/{vault}", VaultsRead, Body::Empty => 200 Body::Json("VaultView"), "Shows one vault";
    DeleteVault: DELETE "/api/v1/vaults/{vault}", VaultsDelete, Body::Empty => 200 Body::Json("VaultDeletion"), "Deletes a vault that holds nothing but soft-deleted items; with such, softly";
    ListDeletedVaults: GET "/api/v1/deleted-vaults", VaultsRead, Body::Empty => 200 Body::Json("DeletedVaultList"), "Lists the soft-deleted vaults that the caller may see";
    ShowDeletedVault: GET "/api/v1/deleted-vaults/{deleted_vault}", VaultsRead, Body::Empty => 200 Body::Json("DeletedVaultView"), "Shows one soft-deleted vault, by id";
    UndeleteVault: POST "/api/v1/deleted-vaults/{deleted_vault}/undelete", VaultsWrite, Body::Empty => 200 Body::Json("VaultView"), "Brings a soft-deleted vault back, if nobody has its name";
    ShowSettings: GET "/api/v1/vaults/{vault}/settings", VaultConfigRead, Body::Empty => 200 Body::Json("SettingsView"), "Shows what guards a vault's data";
    ChangeSettings: PUT "/api/v1/vaults/{vault}/settings", VaultConfigWrite, Body::Json("VaultSettings") => 200 Body::Json("SettingsView"), "Changes what guards a vault's data";
    ShowVaultGuard: GET "/api/v1/vaults/{vault}/guard", VaultsRead, Body::Empty => 200 Body::Json("VaultGuardView"), "Shows the resource guard that a vault is under";
    SetVaultGuard: PUT "/api/v1/vaults/{vault}/guard", VaultGuardWrite, Body::Json("SetVaultGuard") => 200 Body::Json("VaultGuardView"), "Puts a vault under a resource guard";
    RemoveVaultGuard: DELETE "/api/v1/vaults/{vault}/guard", VaultGuardDelete, Body::Empty => 204 Body::Empty, "Takes the resource guard off a vault, which it guards";
    ListApprovals: GET "/api/v1/vaults/{vault}/approvals", VaultsRead, Body::Empty => 200 Body::Json("ApprovalList"), "Lists what was asked of a vault's resource guard, newest first";
    RequestApproval: POST "/api/v1/vaults/{vault}/approvals", VaultsRead, Body::Json("RequestApproval") => 201 Body::Json("ApprovalView"), "Asks a second person to allow what the caller is permitted otherwise";
    IssueSecurityPin: POST "/api/v1/vaults/{vault}/security-pin", SecurityPin, Body::Empty => 201 Body::Json("SecurityPin"), "Gives a PIN, for five minutes and one use, with which a machine may have its data deleted, unregister, or change its passphrase";
    ListPolicies: GET "/api/v1/vaults/{vault}/policies", PoliciesRead, Body::Empty => 200 Body::Json("PolicyList"), "Lists the policies of a vault";
    CreatePolicy: POST "/api/v1/vaults/{vault}/policies", PoliciesWrite, Body::Json("CreatePolicy") => 201 Body::Json("PolicyView"), "Makes a policy";
    ShowPolicy: GET "/api/v1/vaults/{vault}/policies/{policy}", PoliciesRead, Body::Empty => 200 Body::Json("PolicyView"), "Shows one policy";
    ChangePolicy: PUT "/api/v1/vaults/{vault}/policies/{policy}", PoliciesWrite, Body::Json("ChangePolicy") => 200 Body::Json("PolicyView"), "Gives a policy other rules";
    DeletePolicy: DELETE "/api/v1/vaults/{vault}/policies/{policy}", PoliciesDelete, Body::Empty => 204 Body::Empty, "Deletes a policy that no item is under; a default one comes back";
    ListContainers: GET "/api/v1/vaults/{vault}/containers", ContainersRead, Body::Empty => 200 Body::Json("ContainerList"), "Lists the machines that are registered in a vault, in pages";
    ShowContainer: GET "/api/v1/vaults/{vault}/containers/{container}", ContainersRead, Body::Empty => 200 Body::Json("ContainerView"), "Shows one registered machine, by id or name";
    UnregisterContainer: DELETE "/api/v1/vaults/{vault}/containers/{container}", ContainersDelete, Body::Empty => 200 Body::Json("ItemChange"), "Unregisters a machine: its key is good no more, and its item is deleted, softly while the vault has that on";
    ListItems: GET "/api/v1/vaults/{vault}/items", ItemsRead, Body::Empty => 200 Body::Json("ItemList"), "Lists the items of a vault, in pages";
    ShowItem: GET "/api/v1/vaults/{vault}/items/{item}", ItemsRead, Body::Empty => 200 Body::Json("ItemView"), "Shows one item, by id or name";
    ProtectItem: PUT "/api/v1/vaults/{vault}/items/{item}/protection", ItemsWrite, Body::Json("ProtectItem") => 200 Body::Json("ItemChange"), "Puts an item under a policy: the first one, another one, or again after a stop";
    StopItem: POST "/api/v1/vaults/{vault}/items/{item}/stop", ItemsDelete, Body::Json("StopItem") => 200 Body::Json("ItemChange"), "Stops the backups of an item, and keeps or deletes its recovery points";
    UndeleteItem: POST "/api/v1/vaults/{vault}/items/{item}/undelete", ItemsWrite, Body::Empty => 200 Body::Json("ItemChange"), "Brings a soft-deleted item back, stopped with its data retained";
    BackUpItem: POST "/api/v1/vaults/{vault}/items/{item}/backup", BackupNow, Body::Json("BackUpItem") => 202 Body::Json("JobView"), "Has an item backed up as soon as its machine hears of it";
    ItemPoints: GET "/api/v1/vaults/{vault}/items/{item}/points", PointsRead, Body::Empty => 200 Body::Json("KeptPointList"), "Lists an item's recovery points, and how long each is kept";
    ListJobs: GET "/api/v1/vaults/{vault}/jobs", JobsRead, Body::Empty => 200 Body::Json("JobList"), "Lists the jobs of a vault, newest first, in pages";
    ShowJob: GET "/api/v1/vaults/{vault}/jobs/{job}", JobsRead, Body::Empty => 200 Body::Json("JobView"), "Shows one job";
    CancelJob: POST "/api/v1/vaults/{vault}/jobs/{job}/cancel", JobsCancel, Body::Empty => 202 Body::Json("JobView"), "Tells a job to stop";
    ListAlerts: GET "/api/v1/vaults/{vault}/alerts", AlertsRead, Body::Empty => 200 Body::Json("AlertList"), "Lists the alerts of a vault, newest first, in pages";
    ShowAlert: GET "/api/v1/vaults/{vault}/alerts/{alert}", AlertsRead, Body::Empty => 200 Body::Json("AlertView"), "Shows one alert";
    InactivateAlert: POST "/api/v1/vaults/{vault}/alerts/{alert}/inactivate", AlertsWrite, Body::Json("InactivateAlert") => 200 Body::Json("AlertView"), "Says that somebody saw to an alert";
    ShowNotifications: GET "/api/v1/vaults/{vault}/notifications", AlertsRead, Body::Empty => 200 Body::Json("NotificationsView"), "Shows who is told of a vault's alerts";
    ChangeNotifications: PUT "/api/v1/vaults/{vault}/notifications", MonitoringWrite, Body::Json("ChangeNotifications") => 200 Body::Json("NotificationsView"), "Changes who is told of a vault's alerts";
    TestNotifications: POST "/api/v1/vaults/{vault}/notifications/test", MonitoringWrite, Body::Empty => 200 Body::Json("NotificationTest"), "Sends a test message to everybody who is told, and says how that went";
    VaultPoints: GET "/api/v1/vaults/{vault}/points", PointsRead, Body::Empty => 200 Body::Json("PointList"), "Lists the recovery points of all machines of a vault";
    IssueCredentials: POST "/api/v1/vaults/{vault}/credentials", CredentialsIssue, Body::Empty => 201 Body::Json("VaultCredentials"), "Issues a vault credentials file, valid 10 days and only for registering";
    Register: POST "/api/v1/register", MachineRegister, Body::Json("RegisterRequest") => 201 Body::Json("Registered"), "Registers a machine with the key that it made";
    ShowMachine: GET "/api/v1/machine", Restore, Body::Empty => 200 Body::Json("MachineView"), "Shows the calling machine as the service knows it";
    DeleteOwnData: POST "/api/v1/machine/delete-data", RemoveOwn, Body::Empty => 200 Body::Json("ItemChange"), "Stops the protection of the calling machine and deletes its data, with a security PIN";
    UnregisterMachine: DELETE "/api/v1/machine", RemoveOwn, Body::Empty => 200 Body::Json("ItemChange"), "Unregisters the calling machine, with a security PIN";
    ListKeySets: GET "/api/v1/key-sets", Backup, Body::Empty => 200 Body::Json("KeySetList"), "Lists the key sets of the machine's vault";
    AddKeySet: PUT "/api/v1/key-sets/{key_set}", Backup, Body::Octets { bytes_max: KEY_SET_BYTES_MAX } => 204 Body::Empty, "Adds a key set that the machine made; another one than the first needs a security PIN";
    JoinKeySet: POST "/api/v1/key-sets/{key_set}/join", Backup, Body::Json("JoinRequest") => 204 Body::Empty, "Joins a key set by proving that the machine opened it";
    Link: POST "/api/v1/link", Link, Body::Json("LinkRequest") => 200 Body::Json("LinkAnswer"), "Waits for work: a machine holds this open";
    BeginJob: POST "/api/v1/jobs", Link, Body::Json("BeginJob") => 201 Body::Json("JobView"), "Begins a job that somebody at the machine asked for";
    ReportJob: POST "/api/v1/jobs/{job}/progress", Link, Body::Json("ReportJob") => 200 Body::Json("Reported"), "Says how far the machine is with its job, and that it lives";
    FinishJob: POST "/api/v1/jobs/{job}/finish", Link, Body::Json("FinishJob") => 200 Body::Json("JobView"), "Says how the machine's job ended";
    BeginSession: POST "/api/v1/sessions", Backup, Body::Json("BeginSession") => 201 Body::Json("Session"), "Begins a backup session";
    Missing: POST "/api/v1/sessions/{session}/missing", Backup, IDENTITIES => 200 Body::Octets { bytes_max: IDENTITIES_MAX / 8 }, "Tells which blobs the vault lacks: a bitmap, least significant bit first";
    PutPack: PUT "/api/v1/sessions/{session}/packs/{pack}", Backup, Body::Octets { bytes_max: PACK_BYTES_MAX } => 200 Body::Json("PackStored"), "Stores a pack; every byte is checked first";
    Commit: POST "/api/v1/sessions/{session}/commit", Backup, Body::Octets { bytes_max: POINT_BYTES_MAX } => 201 Body::Json("Committed"), "Makes a recovery point exist";
    EndSession: DELETE "/api/v1/sessions/{session}", Backup, Body::Empty => 204 Body::Empty, "Ends a backup session";
    Fetch: POST "/api/v1/fetch", Restore, IDENTITIES => 200 Body::Frames, "Streams blobs back, grouped by pack";
    ListPoints: GET "/api/v1/points", Restore, Body::Empty => 200 Body::Json("PointList"), "Lists the recovery points that the machine may read";
    ShowPoint: GET "/api/v1/points/{point}", Restore, Body::Empty => 200 Body::Json("PointView"), "Shows one recovery point";
    PointObject: GET "/api/v1/points/{point}/object", Restore, Body::Empty => 200 Body::Octets { bytes_max: POINT_BYTES_MAX }, "Returns the stored object of a recovery point";
    CheckPoint: GET "/api/v1/points/{point}/check", Restore, Body::Empty => 200 Body::Json("ScrubReport"), "Checks the few objects of a recovery point that its restore does not read";
    ScrubPoint: POST "/api/v1/points/{point}/scrub", Scrub, Body::Empty => 200 Body::Json("ScrubReport"), "Re-reads and checks every object that a recovery point needs";
}

impl RouteId {
    /// The route's row in [`ROUTES`].
    pub fn route(self) -> &'static Route {
        &ROUTES[self as usize]
    }

    /// The path with `arguments` in place of the parameters, in order. All arguments are typed ids and names, whose
    /// characters need no escaping in a path.
    ///
    /// # Panics
    /// When the number of arguments is not the number of parameters: a mistake in this crate.
    pub fn path(self, arguments: &[&(dyn Display + Sync)]) -> String {
        let template = self.route().path;
        let mut given = arguments.iter();
        let filled: Vec<String> = template
            .split('/')
            .map(|segment| match segment.starts_with('{') {
                true => given.next().expect("one argument for each parameter").to_string(),
                false => segment.to_owned(),
            })
            .collect();
        assert!(given.next().is_none(), "more arguments than parameters in {template}");
        filled.join("/")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_ids_and_has_no_twins() {
        let mut seen = HashSet::new();
        for (index, route) in ROUTES.iter().enumerate() {
            assert_eq!(route.id as usize, index);
            assert!(std::ptr::eq(route.id.route(), route));
            assert!(seen.insert((route.method.clone(), route.path)), "{} twice", route.path);
            assert!(route.path.starts_with('/') && !route.summary.is_empty());
        }
    }

    #[test]
    fn only_health_figures_and_sign_in_are_public() {
        let public: Vec<_> = ROUTES
            .iter()
            .filter(|route| route.permission == Permission::Public)
            .map(|route| route.path)
            .collect();
        let sign_in = [
            "/api/v1/token",
            "/api/v1/device_authorization",
            "/device",
            "/device",
            "/authorize",
            "/authorize",
        ];
        assert_eq!(public, [&["/healthz", "/readyz", "/metrics"], &sign_in[..]].concat());
    }

    #[test]
    fn paths_are_filled() {
        assert_eq!(RouteId::ListVaults.path(&[]), "/api/v1/vaults");
        assert_eq!(RouteId::PutPack.path(&[&"s", &"p"]), "/api/v1/sessions/s/packs/p");
    }
}
