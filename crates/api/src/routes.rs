//! The one table of routes. A route that is not here does not exist; a route here cannot lack a permission, nor a description:
//! [`crate::openapi()`] is made from these rows.

use std::fmt::Display;

pub use reqwest::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use strongroom_model::{Permission, VaultSettings};

use crate::openapi::parameter;
use crate::*;

/// One route of the service.
#[derive(Debug, Clone)]
pub struct Route {
    /// Names the route in code: the service matches a handler to each of these.
    pub id: RouteId,
    /// The HTTP method.
    pub method: Method,
    /// The path, with parameters in braces: those of [`crate::openapi()`].
    pub path: &'static str,
    /// What a caller must hold.
    pub permission: Permission,
    /// One line for people: what the route does.
    pub summary: &'static str,
    /// What may stand after the question mark.
    pub query: Option<Shape>,
    /// What the request carries.
    pub request: Body,
    /// The status of success.
    pub status: u16,
    /// What a successful response carries.
    pub response: Body,
    /// The headers that matter here.
    pub headers: &'static [Header],
    /// How it may be refused, beside what [`Route::refusals`] knows of all routes of its kind.
    pub refuses: &'static [Code],
}

/// A header that some routes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The answer says which version it shows.
    ETag,
    /// The request may say which version it is about.
    IfMatch,
    /// The request may say which version the caller has, so that it is not sent again.
    IfNoneMatch,
    /// The answer says where what was made is found.
    Location,
    /// The request may, or must, show a security PIN.
    SecurityPin,
    /// The request may prove that the machine opened a key set, and so reads what machines of that set made.
    Membership,
    /// The request shows what a machine says of the seed that it made.
    Seed,
}

/// A type of this crate, as others see it on the wire.
#[derive(Clone, Copy)]
pub struct Shape(pub(crate) fn(&mut SchemaGenerator) -> Schema);

impl Shape {
    pub(crate) const fn of<T: JsonSchema>() -> Self {
        Self(SchemaGenerator::subschema_for::<T>)
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shape(…)")
    }
}

/// What a request or a response carries.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Shape),
    /// A form (`application/x-www-form-urlencoded`).
    Form(Shape),
    /// One JSON value a line.
    Lines(Shape),
    /// Plain text.
    Text,
    /// Figures for Prometheus.
    Figures,
    /// A page for a browser.
    Page,
    /// What a browser sends from a page of ours.
    PageForm,
    /// Bytes, at most so many.
    Octets {
        /// The longest body, in bytes.
        bytes_max: usize,
    },
    /// Identities of blobs, 32 bytes each, at most [`IDENTITIES_MAX`]; perhaps none.
    Identities,
    /// A stream of frames, see [`crate::Frame`].
    Frames,
}

impl Body {
    /// The longest body of this kind, in bytes.
    pub const fn bytes_max(self) -> usize {
        match self {
            Body::Empty => 0,
            Body::Form(_) | Body::PageForm => FORM_BYTES_MAX,
            Body::Json(_) | Body::Text | Body::Page | Body::Figures => JSON_BYTES_MAX,
            Body::Octets { bytes_max } => bytes_max,
            Body::Identities => IDENTITIES_MAX * 32,
            Body::Lines(_) | Body::Frames => usize::MAX,
        }
    }

    /// The media type, without parameters; `None`: there is no body.
    pub const fn media_type(self) -> Option<&'static str> {
        Some(match self {
            Body::Empty => return None,
            Body::Json(_) => "application/json",
            Body::Form(_) | Body::PageForm => "application/x-www-form-urlencoded",
            Body::Lines(_) => "application/jsonl",
            Body::Text => "text/plain",
            Body::Figures => "application/openmetrics-text",
            Body::Page => "text/html",
            Body::Octets { .. } | Body::Identities | Body::Frames => "application/octet-stream",
        })
    }
}

const fn json<T: JsonSchema>() -> Body {
    Body::Json(Shape::of::<T>())
}

const fn form<T: JsonSchema>() -> Body {
    Body::Form(Shape::of::<T>())
}

const fn lines<T: JsonSchema>() -> Body {
    Body::Lines(Shape::of::<T>())
}

impl Route {
    /// Whether the description of the API has it: what programs call. Pages are for browsers.
    pub fn is_described(&self) -> bool {
        let is_page = |body| matches!(body, Body::Page | Body::PageForm);
        !is_page(self.request) && !is_page(self.response)
    }

    /// Whether it has this header.
    pub fn has(&self, header: Header) -> bool {
        self.headers.contains(&header)
    }

    /// The names in the path, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let segments = self.path.split('/');
        segments.filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Every way in which it may be refused, by status and name: what all do, what those with such a permission, path, query or
    /// body do, and what the row says.
    pub fn refusals(&self) -> Vec<Code> {
        use Code::*;
        use Permission::{Backup, Link, Public, RemoveOwn, Restore, Scrub};
        let mut codes = vec![Internal, Unavailable];
        let mut also = |when: bool, more: &[Code]| {
            if when {
                codes.extend(more);
            }
        };
        let is_machines = matches!(self.permission, Backup | Restore | Scrub | Link | RemoveOwn);
        let is_public = self.permission == Public;
        also(
            !is_public,
            &[Unauthenticated, TokenExpired, CredentialsExpired, Forbidden],
        );
        also(is_machines, &[MachineNotFound, VaultNotFound, ObjectDamaged]);
        also(self.method != Method::GET, &[NoSpace]);
        also(self.query.is_some(), &[InvalidRequest]);
        let has_body = !matches!(self.request, Body::Empty);
        also(has_body, &[InvalidRequest, RequestTimeout, BodyTooLarge]);
        also(self.has(Header::IfMatch), &[InvalidRequest, VersionMismatch]);
        also(self.has(Header::Membership), &[InvalidRequest]);
        also(self.has(Header::SecurityPin), &[SecurityPinRefused, TooManyAttempts]);
        for name in self.parameters() {
            also(true, &[InvalidName]);
            also(true, parameter(name).map_or(&[], |known| known.absent));
        }
        also(true, self.refuses);
        codes.sort_by_key(|code| (code.status(), code.as_str()));
        codes.dedup();
        codes
    }
}

macro_rules! routes {
    ($($id:ident: $method:ident $path:literal, $permission:ident, $request:expr => $status:literal $response:expr, $summary:literal
        $(, query $query:ty)? $(, with [$($header:ident),*])? $(, refuses [$($code:ident),*])?;)*) => {
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
            query: [$(Some(Shape::of::<$query>()),)? None][0],
            request: $request,
            status: $status,
            response: $response,
            headers: &[$($(Header::$header,)*)?],
            refuses: &[$($(Code::$code,)*)?],
        },)*];
    };
}

routes! {
    Healthz: GET "/healthz", Public, Body::Empty => 200 Body::Text, "Says that the process lives";
    Readyz: GET "/readyz", Public, Body::Empty => 200 Body::Text, "Says that database and store work";
    Metrics: GET "/metrics", Public, Body::Empty => 200 Body::Figures, "Counts for Prometheus, without a name in them";
    Token: POST "/api/v1/token", Public, form::<TokenRequest>() => 200 json::<TokenResponse>(), "Signs in: a password, a refresh token or a machine's assertion for a short-lived token", refuses [WrongPassword, OneTimePasswordRequired, TokenExpired, TokenReused, Unauthenticated, CodeRefused, AssertionRefused, ClientRefused, AuthorizationPending, SlowDown, AccessDenied, TooManyAttempts];
    ChangePassword: POST "/api/v1/password", PasswordChange, json::<ChangePassword>() => 200 json::<PasswordChanged>(), "Changes the caller's own password, by the present one; every session ends, and a new one begins", refuses [InvalidPassword, WrongPassword, TooManyAttempts];
    DeviceAuthorization: POST "/api/v1/device_authorization", Public, form::<DeviceAuthorizationRequest>() => 200 json::<DeviceAuthorization>(), "Begins a sign-in that a person finishes in a browser elsewhere", refuses [ClientRefused];
    DevicePage: GET "/device", Public, Body::Empty => 200 Body::Page, "The page on which a person types a device code";
    DeviceForm: POST "/device", Public, Body::PageForm => 200 Body::Page, "Signs the person in and lets the program go on that waits for the code";
    AuthorizePage: GET "/authorize", Public, Body::Empty => 200 Body::Page, "The page on which a person signs in for a program";
    AuthorizeForm: POST "/authorize", Public, Body::PageForm => 303 Body::Empty, "Signs the person in and sends the browser back to the program with a code";
    ExternalBack: GET "/external/{provider}", Public, Body::Empty => 303 Body::Page, "Takes a person who comes back from another provider of sign-in, and goes on with what was begun";
    PasswordLinkPage: GET "/welcome", Public, Body::Empty => 200 Body::Page, "The page on which a person sets a password by a link";
    PasswordLinkForm: POST "/welcome", Public, Body::PageForm => 200 Body::Page, "Sets the password, and uses the link up";
    BeginOneTimePasswords: POST "/api/v1/account/one-time-passwords", PasswordChange, json::<BeginOneTimePasswords>() => 201 json::<OneTimePasswordSecret>(), "Makes a secret for the caller's authenticator", refuses [WrongPassword, TooManyAttempts, OneTimePasswordsState];
    ConfirmOneTimePasswords: POST "/api/v1/account/one-time-passwords/confirm", PasswordChange, json::<ConfirmOneTimePasswords>() => 200 json::<RecoveryCodes>(), "Asks for one-time passwords from now on, if the caller has the right one", refuses [WrongPassword, TooManyAttempts, OneTimePasswordsState];
    EndOneTimePasswords: POST "/api/v1/account/one-time-passwords/end", PasswordChange, json::<EndOneTimePasswords>() => 204 Body::Empty, "Asks the caller for no one-time passwords any more", refuses [WrongPassword, OneTimePasswordRequired, TooManyAttempts, OneTimePasswordsState];
    OpenApi: GET "/api/openapi.json", Public, Body::Empty => 200 json::<serde_json::Map<String, serde_json::Value>>(), "Describes this interface", with [ETag, IfNoneMatch];
    ShowAccount: GET "/api/v1/account", OwnAccount, Body::Empty => 200 json::<AccountView>(), "Shows the caller's own account, with its roles";
    ListUsers: GET "/api/v1/users", UsersManage, Body::Empty => 200 json::<UserList>(), "Lists the users";
    CreateUser: POST "/api/v1/users", UsersManage, json::<CreateUser>() => 201 json::<CreatedUser>(), "Creates a user, who may do nothing until a role is assigned; without a password, the user is invited to set one", with [Location], refuses [PrincipalExists, InvalidPassword];
    ShowUser: GET "/api/v1/users/{user}", UsersManage, Body::Empty => 200 json::<UserView>(), "Shows one user";
    ChangeUser: PATCH "/api/v1/users/{user}", UsersManage, json::<ChangeUser>() => 200 json::<UserView>(), "Disables a user, enables one again, or changes the address", refuses [LastOwner];
    DeleteUser: DELETE "/api/v1/users/{user}", UsersManage, Body::Empty => 204 Body::Empty, "Deletes a user, with the user's roles", refuses [LastOwner];
    InviteUser: POST "/api/v1/users/{user}/invitation", UsersManage, Body::Empty => 201 json::<Invitation>(), "Makes a link by which a user sets a password, once, and mails it if that is possible", refuses [AccountDisabled];
    LinkIdentity: POST "/api/v1/users/{user}/identities", UsersManage, json::<LinkIdentity>() => 201 json::<IdentityView>(), "Lets a person whom another provider vouches for sign in as the user", refuses [ProviderNotFound, IdentityExists];
    UnlinkIdentity: DELETE "/api/v1/users/{user}/identities/{identity}", UsersManage, Body::Empty => 204 Body::Empty, "Takes an identity off a user, and ends the user's sessions", refuses [LastOwner];
    ResetOneTimePasswords: DELETE "/api/v1/users/{user}/one-time-passwords", UsersManage, Body::Empty => 204 Body::Empty, "Takes the one-time passwords off a user who lost the authenticator and all recovery codes";
    ListServicePrincipals: GET "/api/v1/service-principals", UsersManage, Body::Empty => 200 json::<ServicePrincipalList>(), "Lists the service principals";
    CreateServicePrincipal: POST "/api/v1/service-principals", UsersManage, json::<CreateServicePrincipal>() => 201 json::<ServicePrincipalView>(), "Creates a service principal, which can neither sign in nor do anything yet", with [Location], refuses [PrincipalExists];
    ShowServicePrincipal: GET "/api/v1/service-principals/{principal}", UsersManage, Body::Empty => 200 json::<ServicePrincipalView>(), "Shows one service principal";
    ChangeServicePrincipal: PATCH "/api/v1/service-principals/{principal}", UsersManage, json::<ChangeServicePrincipal>() => 200 json::<ServicePrincipalView>(), "Disables a service principal, or enables one again";
    DeleteServicePrincipal: DELETE "/api/v1/service-principals/{principal}", UsersManage, Body::Empty => 204 Body::Empty, "Deletes a service principal, with its keys and roles";
    AddSecret: POST "/api/v1/service-principals/{principal}/secrets", UsersManage, json::<AddSecret>() => 201 json::<AddedSecret>(), "Makes a secret for a service principal and tells it once", refuses [TooManyKeys];
    AddCertificate: POST "/api/v1/service-principals/{principal}/certificates", UsersManage, json::<AddCertificate>() => 201 json::<KeyView>(), "Takes a certificate by which a service principal signs in", refuses [TooManyKeys, InvalidCertificate];
    DeleteKey: DELETE "/api/v1/service-principals/{principal}/keys/{key}", UsersManage, Body::Empty => 204 Body::Empty, "Removes a secret or certificate of a service principal";
    ListRoles: GET "/api/v1/roles", OwnAccount, Body::Empty => 200 json::<RoleDefinitionList>(), "Lists the roles and what they allow";
    ListAssignments: GET "/api/v1/role-assignments", RolesRead, Body::Empty => 200 json::<AssignmentList>(), "Lists who has which role, as far as the caller may see it";
    AssignRole: POST "/api/v1/role-assignments", RolesWrite, json::<AssignRole>() => 201 json::<AssignmentView>(), "Gives a role on the subscription, a resource group or a vault", refuses [VaultNotFound, ResourceGroupNotFound, PrincipalNotFound, AssignmentExists];
    RemoveAssignment: DELETE "/api/v1/role-assignments/{assignment}", RolesDelete, Body::Empty => 204 Body::Empty, "Takes a role away", refuses [LastOwner];
    ListResourceGroups: GET "/api/v1/resource-groups", ResourceGroupsRead, Body::Empty => 200 json::<ResourceGroupList>(), "Lists the resource groups that the caller may see";
    CreateResourceGroup: POST "/api/v1/resource-groups", ResourceGroupsWrite, json::<CreateResourceGroup>() => 201 json::<ResourceGroupView>(), "Creates a resource group", with [Location], refuses [ResourceGroupExists];
    ShowResourceGroup: GET "/api/v1/resource-groups/{group}", ResourceGroupsRead, Body::Empty => 200 json::<ResourceGroupView>(), "Shows one resource group";
    DeleteResourceGroup: DELETE "/api/v1/resource-groups/{group}", ResourceGroupsDelete, Body::Empty => 204 Body::Empty, "Deletes a resource group that no vault is in", refuses [ResourceGroupNotEmpty];
    ListGuards: GET "/api/v1/resource-groups/{group}/guards", GuardsRead, Body::Empty => 200 json::<GuardList>(), "Lists the resource guards of a resource group";
    CreateGuard: POST "/api/v1/resource-groups/{group}/guards", GuardsWrite, json::<CreateGuard>() => 201 json::<GuardView>(), "Makes a resource guard: vaults under it need a second person for what takes protection away", with [Location], refuses [GuardExists];
    ShowGuard: GET "/api/v1/resource-groups/{group}/guards/{guard}", GuardsRead, Body::Empty => 200 json::<GuardView>(), "Shows one resource guard";
    DeleteGuard: DELETE "/api/v1/resource-groups/{group}/guards/{guard}", GuardsDelete, Body::Empty => 204 Body::Empty, "Deletes a resource guard that no vault is under", refuses [GuardInUse];
    GuardApprovals: GET "/api/v1/resource-groups/{group}/guards/{guard}/approvals", GuardsRead, Body::Empty => 200 json::<ApprovalList>(), "Lists what is asked of a resource guard, newest first";
    Approve: POST "/api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/approve", ApprovalsDecide, Body::Empty => 200 json::<ApprovalView>(), "Allows what another person asked for, once and for an hour", refuses [SecondPersonNeeded, ApprovalOver];
    Deny: POST "/api/v1/resource-groups/{group}/guards/{guard}/approvals/{approval}/deny", ApprovalsDecide, Body::Empty => 200 json::<ApprovalView>(), "Does not allow what was asked for", refuses [SecondPersonNeeded, ApprovalOver];
    ReadAudit: GET "/api/v1/audit", AuditRead, Body::Empty => 200 json::<AuditPage>(), "Reads the audit log, page by page", query AuditQuery;
    ExportAudit: GET "/api/v1/audit/export", AuditRead, Body::Empty => 200 lines::<AuditLine>(), "Streams the audit log, one JSON object a line", query AuditQuery;
    ListVaults: GET "/api/v1/vaults", VaultsRead, Body::Empty => 200 json::<VaultList>(), "Lists the vaults that the caller may see";
    CreateVault: POST "/api/v1/vaults", VaultsWrite, json::<CreateVault>() => 201 json::<VaultView>(), "Creates a vault", with [Location], refuses [VaultExists, ResourceGroupNotFound];
    ShowVault: GET "/api/v1/vaults/{vault}", VaultsRead, Body::Empty => 200 json::<VaultView>(), "Shows one vault";
    DeleteVault: DELETE "/api/v1/vaults/{vault}", VaultsDelete, Body::Empty => 200 json::<VaultDeletion>(), "Deletes a vault that holds nothing but soft-deleted items; with such, softly", refuses [Immutable, VaultNotEmpty];
    ListDeletedVaults: GET "/api/v1/deleted-vaults", VaultsRead, Body::Empty => 200 json::<DeletedVaultList>(), "Lists the soft-deleted vaults that the caller may see";
    ShowDeletedVault: GET "/api/v1/deleted-vaults/{deleted_vault}", VaultsRead, Body::Empty => 200 json::<DeletedVaultView>(), "Shows one soft-deleted vault, by id";
    UndeleteVault: POST "/api/v1/deleted-vaults/{deleted_vault}/undelete", VaultsWrite, Body::Empty => 200 json::<VaultView>(), "Brings a soft-deleted vault back, if nobody has its name", refuses [VaultExists, ResourceGroupNotFound];
    ShowSettings: GET "/api/v1/vaults/{vault}/settings", VaultConfigRead, Body::Empty => 200 json::<SettingsView>(), "Shows what guards a vault's data", with [ETag];
    ChangeSettings: PUT "/api/v1/vaults/{vault}/settings", VaultConfigWrite, json::<VaultSettings>() => 200 json::<SettingsView>(), "Changes what guards a vault's data", with [ETag, IfMatch], refuses [ApprovalNeeded, InvalidSettings, Immutable];
    ShowVaultGuard: GET "/api/v1/vaults/{vault}/guard", VaultsRead, Body::Empty => 200 json::<VaultGuardView>(), "Shows the resource guard that a vault is under", refuses [GuardNotFound];
    SetVaultGuard: PUT "/api/v1/vaults/{vault}/guard", VaultGuardWrite, json::<SetVaultGuard>() => 200 json::<VaultGuardView>(), "Puts a vault under a resource guard", refuses [GuardNotFound, ResourceGroupNotFound, VaultGuarded];
    RemoveVaultGuard: DELETE "/api/v1/vaults/{vault}/guard", VaultGuardDelete, Body::Empty => 204 Body::Empty, "Takes the resource guard off a vault, which it guards", refuses [GuardNotFound, ApprovalNeeded];
    ListApprovals: GET "/api/v1/vaults/{vault}/approvals", VaultsRead, Body::Empty => 200 json::<ApprovalList>(), "Lists what was asked of a vault's resource guard, newest first", refuses [GuardNotFound];
    RequestApproval: POST "/api/v1/vaults/{vault}/approvals", VaultsRead, json::<RequestApproval>() => 201 json::<ApprovalView>(), "Asks a second person to allow what the caller is permitted otherwise", refuses [GuardNotFound, ItemNotFound, ItemAmbiguous, PolicyNotFound];
    IssueSecurityPin: POST "/api/v1/vaults/{vault}/security-pin", SecurityPin, Body::Empty => 201 json::<SecurityPin>(), "Gives a PIN, for five minutes and one use, with which a machine may have its data deleted, unregister, or change its passphrase", refuses [ApprovalNeeded];
    ListPolicies: GET "/api/v1/vaults/{vault}/policies", PoliciesRead, Body::Empty => 200 json::<PolicyList>(), "Lists the policies of a vault";
    CreatePolicy: POST "/api/v1/vaults/{vault}/policies", PoliciesWrite, json::<CreatePolicy>() => 201 json::<PolicyView>(), "Makes a policy", with [ETag, Location], refuses [PolicyExists, InvalidPolicy];
    ShowPolicy: GET "/api/v1/vaults/{vault}/policies/{policy}", PoliciesRead, Body::Empty => 200 json::<PolicyView>(), "Shows one policy", with [ETag];
    ChangePolicy: PUT "/api/v1/vaults/{vault}/policies/{policy}", PoliciesWrite, json::<ChangePolicy>() => 200 json::<PolicyView>(), "Gives a policy other rules", with [ETag, IfMatch], refuses [ApprovalNeeded, InvalidPolicy, Immutable];
    DeletePolicy: DELETE "/api/v1/vaults/{vault}/policies/{policy}", PoliciesDelete, Body::Empty => 204 Body::Empty, "Deletes a policy that no item is under; a default one comes back", with [IfMatch], refuses [PolicyInUse, Immutable];
    ListContainers: GET "/api/v1/vaults/{vault}/containers", ContainersRead, Body::Empty => 200 json::<ContainerList>(), "Lists the machines that are registered in a vault, in pages", query ContainerFilter;
    ShowContainer: GET "/api/v1/vaults/{vault}/containers/{container}", ContainersRead, Body::Empty => 200 json::<ContainerView>(), "Shows one registered machine, by id or name";
    UnregisterContainer: DELETE "/api/v1/vaults/{vault}/containers/{container}", ContainersDelete, Body::Empty => 200 json::<ItemChange>(), "Unregisters a machine: its key is good no more, and its item is deleted, softly while the vault has that on", refuses [ItemNotFound, ItemState, OperationInProgress, Immutable, ApprovalNeeded, VersionMismatch];
    ListVirtualMachines: GET "/api/v1/vaults/{vault}/virtual-machines", ProtectableItemsRead, Body::Empty => 200 json::<VirtualMachineList>(), "Lists the virtual machines that the hosts of a vault have found, in pages", query ContainerFilter;
    ShowVirtualMachine: GET "/api/v1/vaults/{vault}/virtual-machines/{virtual_machine}", ProtectableItemsRead, Body::Empty => 200 json::<VirtualMachineView>(), "Shows one virtual machine, by name";
    Discover: POST "/api/v1/vaults/{vault}/discover", ContainersRefresh, Body::Empty => 202 json::<Discovering>(), "Has the hosts of a vault look for virtual machines", refuses [OperationInProgress];
    ListItems: GET "/api/v1/vaults/{vault}/items", ItemsRead, Body::Empty => 200 json::<ItemList>(), "Lists the items of a vault, in pages", query ItemFilter;
    ShowItem: GET "/api/v1/vaults/{vault}/items/{item}", ItemsRead, Body::Empty => 200 json::<ItemView>(), "Shows one item, by id or name", with [ETag];
    ProtectItem: PUT "/api/v1/vaults/{vault}/items/{item}/protection", ItemsWrite, json::<ProtectItem>() => 200 json::<ItemChange>(), "Puts an item under a policy: the first one, another one, or again after a stop", with [IfMatch], refuses [ApprovalNeeded, PolicyNotFound, InvalidPolicy, ItemState, OperationInProgress, Immutable];
    StopItem: POST "/api/v1/vaults/{vault}/items/{item}/stop", ItemsDelete, json::<StopItem>() => 200 json::<ItemChange>(), "Stops the backups of an item, and keeps or deletes its recovery points", with [IfMatch], refuses [ApprovalNeeded, ItemState, OperationInProgress, Immutable];
    UndeleteItem: POST "/api/v1/vaults/{vault}/items/{item}/undelete", ItemsWrite, Body::Empty => 200 json::<ItemChange>(), "Brings a soft-deleted item back, stopped with its data retained", with [IfMatch], refuses [ItemState, OperationInProgress];
    BackUpItem: POST "/api/v1/vaults/{vault}/items/{item}/backup", BackupNow, json::<BackUpItem>() => 202 json::<JobView>(), "Has an item backed up as soon as its machine hears of it", with [Location], refuses [TooManyPoints, ItemState, OperationInProgress];
    ItemPoints: GET "/api/v1/vaults/{vault}/items/{item}/points", PointsRead, Body::Empty => 200 json::<KeptPointList>(), "Lists an item's recovery points, and how long each is kept";
    ShowItemSettings: GET "/api/v1/vaults/{vault}/items/{item}/settings", ItemsWrite, Body::Empty => 200 json::<KeptSettings>(), "Shows what a machine backs up, as it sealed it, with the key set that a passphrase opens", with [ETag];
    ChangeItemSettings: PUT "/api/v1/vaults/{vault}/items/{item}/settings", ItemsWrite, json::<SealedSettings>() => 200 json::<KeptSettings>(), "Changes what a machine backs up; sealed, by somebody who has the passphrase", with [ETag, IfMatch], refuses [InvalidSettings, KeySetNotFound];
    ListJobs: GET "/api/v1/vaults/{vault}/jobs", JobsRead, Body::Empty => 200 json::<JobList>(), "Lists the jobs of a vault, newest first, in pages", query JobFilter, refuses [ItemAmbiguous, ItemNotFound];
    ShowJob: GET "/api/v1/vaults/{vault}/jobs/{job}", JobsRead, Body::Empty => 200 json::<JobView>(), "Shows one job";
    CancelJob: POST "/api/v1/vaults/{vault}/jobs/{job}/cancel", JobsCancel, Body::Empty => 202 json::<JobView>(), "Tells a job to stop", with [Location], refuses [JobOver];
    ListAlerts: GET "/api/v1/vaults/{vault}/alerts", AlertsRead, Body::Empty => 200 json::<AlertList>(), "Lists the alerts of a vault, newest first, in pages", query AlertFilter, refuses [ItemAmbiguous, ItemNotFound];
    ShowAlert: GET "/api/v1/vaults/{vault}/alerts/{alert}", AlertsRead, Body::Empty => 200 json::<AlertView>(), "Shows one alert";
    InactivateAlert: POST "/api/v1/vaults/{vault}/alerts/{alert}/inactivate", AlertsWrite, json::<InactivateAlert>() => 200 json::<AlertView>(), "Says that somebody saw to an alert", refuses [AlertOver, InvalidSettings];
    ShowNotifications: GET "/api/v1/vaults/{vault}/notifications", AlertsRead, Body::Empty => 200 json::<NotificationsView>(), "Shows who is told of a vault's alerts", with [ETag];
    ChangeNotifications: PUT "/api/v1/vaults/{vault}/notifications", MonitoringWrite, json::<ChangeNotifications>() => 200 json::<NotificationsView>(), "Changes who is told of a vault's alerts", with [ETag, IfMatch], refuses [InvalidSettings];
    TestNotifications: POST "/api/v1/vaults/{vault}/notifications/test", MonitoringWrite, Body::Empty => 200 json::<NotificationTest>(), "Sends a test message to everybody who is told, and says how that went", refuses [InvalidSettings];
    BeginSeed: POST "/api/v1/vaults/{vault}/seeds", BackupNow, Body::Empty => 201 json::<Session>(), "Begins to import a seed, which a machine made on a disk, or goes on", with [Seed], refuses [InvalidSeed, PredecessorMismatch, MachineNotFound, TooManyPoints, OperationInProgress, ItemState, ObjectDamaged];
    MissingOfSeed: POST "/api/v1/vaults/{vault}/seeds/{session}/missing", BackupNow, Body::Identities => 200 Body::Octets { bytes_max: IDENTITIES_MAX / 8 }, "Tells which blobs of a seed the vault lacks: a bitmap, least significant bit first", with [Seed], refuses [InvalidSeed, MachineNotFound];
    PutSeedPack: PUT "/api/v1/vaults/{vault}/seeds/{session}/packs/{pack}", BackupNow, Body::Octets { bytes_max: PACK_BYTES_MAX } => 200 json::<PackStored>(), "Stores a pack of a seed; every byte is checked first", with [Seed], refuses [InvalidSeed, MachineNotFound, LengthRequired, InvalidPack, ObjectDamaged];
    CommitSeed: POST "/api/v1/vaults/{vault}/seeds/{session}/commit", BackupNow, Body::Octets { bytes_max: POINT_BYTES_MAX } => 201 json::<Committed>(), "Makes the recovery point of a seed exist", with [Seed], refuses [InvalidSeed, MachineNotFound, TooManyPoints, InvalidPoint, BlobsMissing, PredecessorMismatch, KeySetNotFound, ObjectDamaged];
    VaultPoints: GET "/api/v1/vaults/{vault}/points", PointsRead, Body::Empty => 200 json::<PointList>(), "Lists the recovery points of all machines of a vault";
    ExportPoint: POST "/api/v1/vaults/{vault}/points/{point}/export", PointsRestore, Body::Empty => 200 json::<PointExport>(), "Gives a recovery point's object out, with the vault's own and the key sets that open it, all sealed as they are", refuses [ObjectDamaged];
    ExportSizes: POST "/api/v1/vaults/{vault}/export/sizes", PointsRestore, Body::Identities => 200 Body::Octets { bytes_max: IDENTITIES_MAX * 4 }, "Tells how many bytes blobs have, four bytes each, little-endian; 0: the vault does not have it";
    ExportBlobs: POST "/api/v1/vaults/{vault}/export/blobs", PointsRestore, Body::Identities => 200 Body::Frames, "Streams blobs out, sealed as they are, grouped by pack";
    IssueCredentials: POST "/api/v1/vaults/{vault}/credentials", CredentialsIssue, Body::Empty => 201 json::<VaultCredentials>(), "Issues a vault credentials file, valid 10 days and only for registering";
    Register: POST "/api/v1/register", MachineRegister, json::<RegisterRequest>() => 201 json::<Registered>(), "Registers a machine with the key that it made", with [Location], refuses [VaultNotFound];
    ShowMachine: GET "/api/v1/machine", Restore, Body::Empty => 200 json::<MachineView>(), "Shows the calling machine as the service knows it";
    FoundMachines: PUT "/api/v1/machine/virtual-machines", Link, json::<FoundMachines>() => 200 json::<HostedMachines>(), "Tells of all virtual machines that the calling machine has, and learns which of them it signs in for";
    ShowOwnProtection: GET "/api/v1/machine/protection", Link, Body::Empty => 200 json::<OwnProtection>(), "Shows what the calling machine's item is under, and its newest recovery point", refuses [ItemNotFound];
    ListOwnAlerts: GET "/api/v1/machine/alerts", Link, Body::Empty => 200 json::<AlertList>(), "Lists the alerts about the calling machine that stand, newest first, in pages", query PageFilter;
    ShowOwnSettings: GET "/api/v1/machine/settings", Backup, Body::Empty => 200 json::<KeptSettings>(), "Shows what the calling machine backs up, as it was sealed", with [ETag], refuses [ItemNotFound];
    ChangeOwnSettings: PUT "/api/v1/machine/settings", Backup, json::<SealedSettings>() => 200 json::<KeptSettings>(), "Changes what the calling machine backs up, sealed", with [ETag, IfMatch], refuses [ItemNotFound, InvalidSettings, KeySetNotFound];
    DeleteOwnData: POST "/api/v1/machine/delete-data", RemoveOwn, Body::Empty => 200 json::<ItemChange>(), "Stops the protection of the calling machine and deletes its data, with a security PIN", with [SecurityPin], refuses [ApprovalNeeded, ItemNotFound, ItemState, OperationInProgress, Immutable];
    UnregisterMachine: DELETE "/api/v1/machine", RemoveOwn, Body::Empty => 200 json::<ItemChange>(), "Unregisters the calling machine, with a security PIN", with [SecurityPin], refuses [ApprovalNeeded, ItemNotFound, ItemState, OperationInProgress, Immutable, VersionMismatch];
    ListKeySets: GET "/api/v1/key-sets", Backup, Body::Empty => 200 json::<KeySetList>(), "Lists the key sets of the machine's vault";
    AddKeySet: PUT "/api/v1/key-sets/{key_set}", Backup, Body::Octets { bytes_max: KEY_SET_BYTES_MAX } => 204 Body::Empty, "Adds a key set that the machine made; another one than the first needs a security PIN", with [SecurityPin], refuses [InvalidKeySet, KeySetExists, MembershipRefused];
    JoinKeySet: POST "/api/v1/key-sets/{key_set}/join", Backup, json::<JoinRequest>() => 204 Body::Empty, "Joins a key set, and those of the same master key, by proving that the machine opened it", refuses [MembershipRefused];
    Link: POST "/api/v1/link", Link, json::<LinkRequest>() => 200 json::<LinkAnswer>(), "Waits for work: a machine holds this open", refuses [ItemNotFound, JobNotFound];
    ListOwnJobs: GET "/api/v1/jobs", Link, Body::Empty => 200 json::<JobList>(), "Lists the jobs of the calling machine, newest first, in pages", query PageFilter;
    BeginJob: POST "/api/v1/jobs", Link, json::<BeginJob>() => 201 json::<JobView>(), "Begins a job that somebody at the machine asked for", refuses [TooManyPoints, OperationInProgress, ItemState, ItemNotFound];
    ShowOwnJob: GET "/api/v1/jobs/{job}", Link, Body::Empty => 200 json::<JobView>(), "Shows one job of the calling machine";
    CancelOwnJob: POST "/api/v1/jobs/{job}/cancel", Link, Body::Empty => 202 json::<JobView>(), "Tells a job of the calling machine to stop", with [Location], refuses [JobOver];
    ReportJob: POST "/api/v1/jobs/{job}/progress", Link, json::<ReportJob>() => 200 json::<Reported>(), "Says how far the machine is with its job, and that it lives", refuses [JobOver];
    FinishJob: POST "/api/v1/jobs/{job}/finish", Link, json::<FinishJob>() => 200 json::<JobView>(), "Says how the machine's job ended", refuses [JobOver];
    BeginSession: POST "/api/v1/sessions", Backup, json::<BeginSession>() => 201 json::<Session>(), "Begins a backup session", refuses [TooManyPoints, JobNotFound, OperationInProgress, ItemState];
    Missing: POST "/api/v1/sessions/{session}/missing", Backup, Body::Identities => 200 Body::Octets { bytes_max: IDENTITIES_MAX / 8 }, "Tells which blobs the vault lacks: a bitmap, least significant bit first";
    PutPack: PUT "/api/v1/sessions/{session}/packs/{pack}", Backup, Body::Octets { bytes_max: PACK_BYTES_MAX } => 200 json::<PackStored>(), "Stores a pack; every byte is checked first", refuses [LengthRequired, InvalidPack];
    Commit: POST "/api/v1/sessions/{session}/commit", Backup, Body::Octets { bytes_max: POINT_BYTES_MAX } => 201 json::<Committed>(), "Makes a recovery point exist", with [Location], refuses [TooManyPoints, InvalidPoint, BlobsMissing, PredecessorMismatch, KeySetNotFound];
    EndSession: DELETE "/api/v1/sessions/{session}", Backup, Body::Empty => 204 Body::Empty, "Ends a backup session";
    Fetch: POST "/api/v1/fetch", Restore, Body::Identities => 200 Body::Frames, "Streams blobs back, grouped by pack";
    ListPoints: GET "/api/v1/points", Restore, Body::Empty => 200 json::<PointList>(), "Lists the recovery points that the machine may read", query PointQuery, with [Membership];
    ShowPoint: GET "/api/v1/points/{point}", Restore, Body::Empty => 200 json::<PointView>(), "Shows one recovery point", with [Membership];
    PointObject: GET "/api/v1/points/{point}/object", Restore, Body::Empty => 200 Body::Octets { bytes_max: POINT_BYTES_MAX }, "Returns the stored object of a recovery point", with [Membership];
    CheckPoint: GET "/api/v1/points/{point}/check", Restore, Body::Empty => 200 json::<ScrubReport>(), "Checks the few objects of a recovery point that its restore does not read", with [Membership];
    ScrubPoint: POST "/api/v1/points/{point}/scrub", Scrub, Body::Empty => 200 json::<ScrubReport>(), "Re-reads and checks every object that a recovery point needs", with [Membership];
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
            "/external/{provider}",
            "/welcome",
            "/welcome",
            "/api/openapi.json",
        ];
        assert_eq!(public, [&["/healthz", "/readyz", "/metrics"], &sign_in[..]].concat());
    }

    #[test]
    fn paths_are_filled() {
        assert_eq!(RouteId::ListVaults.path(&[]), "/api/v1/vaults");
        assert_eq!(RouteId::PutPack.path(&[&"s", &"p"]), "/api/v1/sessions/s/packs/p");
    }
}
