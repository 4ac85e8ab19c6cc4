//! The router: a handler and a gate for every row of the table of routes, and nothing else.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use strongroom_api::Code;
use strongroom_api::routes::{Method, ROUTES, Route, RouteId};

use crate::gate::{Gate, pass};
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::{
    account, alerts, approvals, arm, audit, containers, deleted_vaults, exports, fetch, guards, health, identities,
    invitations, items, jobs, key_sets, link, machine_settings, machines, notifications, oauth, one_time_passwords,
    openapi, own_jobs, points, policies, resource_groups, roles, security_pins, seeds, service_principals, sessions,
    settings, users, vaults, virtual_machines,
};

/// Builds the router from the table of routes.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let shared = shared.clone();
        let gate = from_fn_with_state(Gate { shared, route }, pass);
        router = router.route(route.path, handler(route).layer(gate));
    }
    router
        .fallback(arm::enter)
        .method_not_allowed_fallback(async || {
            Refusal::new(Code::MethodNotAllowed, "This cannot be done at this address")
        })
        .with_state(shared.clone())
}

/// The handler of a route. A route without one does not compile.
fn handler(route: &Route) -> MethodRouter<Arc<Shared>> {
    let method = filter(&route.method);
    match route.id {
        RouteId::Healthz => on(method, health::healthz),
        RouteId::Readyz => on(method, health::readyz),
        RouteId::Metrics => on(method, health::metrics),
        RouteId::Token => on(method, oauth::token),
        RouteId::ChangePassword => on(method, account::change_password),
        RouteId::DeviceAuthorization => on(method, oauth::device::authorization),
        RouteId::DevicePage => on(method, oauth::device::page),
        RouteId::DeviceForm => on(method, oauth::device::form),
        RouteId::AuthorizePage => on(method, oauth::authorize::page),
        RouteId::AuthorizeForm => on(method, oauth::authorize::form),
        RouteId::PasswordLinkPage => on(method, oauth::password_link::page),
        RouteId::PasswordLinkForm => on(method, oauth::password_link::form),
        RouteId::ExternalBack => on(method, oauth::external::back),
        RouteId::BeginOneTimePasswords => on(method, one_time_passwords::begin),
        RouteId::ConfirmOneTimePasswords => on(method, one_time_passwords::confirm),
        RouteId::EndOneTimePasswords => on(method, one_time_passwords::end),
        RouteId::OpenApi => on(method, openapi::show),
        RouteId::ShowAccount => on(method, account::show),
        RouteId::ListUsers => on(method, users::list),
        RouteId::CreateUser => on(method, users::create),
        RouteId::ShowUser => on(method, users::show),
        RouteId::ChangeUser => on(method, users::change),
        RouteId::DeleteUser => on(method, users::delete),
        RouteId::InviteUser => on(method, invitations::invite),
        RouteId::LinkIdentity => on(method, identities::link),
        RouteId::UnlinkIdentity => on(method, identities::unlink),
        RouteId::ResetOneTimePasswords => on(method, users::reset_one_time_passwords),
        RouteId::ListServicePrincipals => on(method, service_principals::list),
        RouteId::CreateServicePrincipal => on(method, service_principals::create),
        RouteId::ShowServicePrincipal => on(method, service_principals::show),
        RouteId::ChangeServicePrincipal => on(method, service_principals::change),
        RouteId::DeleteServicePrincipal => on(method, service_principals::delete),
        RouteId::AddSecret => on(method, service_principals::add_secret),
        RouteId::AddCertificate => on(method, service_principals::add_certificate),
        RouteId::DeleteKey => on(method, service_principals::delete_key),
        RouteId::ListRoles => on(method, roles::definitions),
        RouteId::ListAssignments => on(method, roles::list),
        RouteId::AssignRole => on(method, roles::assign),
        RouteId::RemoveAssignment => on(method, roles::remove),
        RouteId::ListResourceGroups => on(method, resource_groups::list),
        RouteId::CreateResourceGroup => on(method, resource_groups::create),
        RouteId::ShowResourceGroup => on(method, resource_groups::show),
        RouteId::DeleteResourceGroup => on(method, resource_groups::delete),
        RouteId::ListGuards => on(method, guards::list),
        RouteId::CreateGuard => on(method, guards::create),
        RouteId::ShowGuard => on(method, guards::show),
        RouteId::DeleteGuard => on(method, guards::delete),
        RouteId::GuardApprovals => on(method, approvals::of_guard),
        RouteId::Approve => on(method, approvals::approve),
        RouteId::Deny => on(method, approvals::deny),
        RouteId::ReadAudit => on(method, audit::read),
        RouteId::ExportAudit => on(method, audit::export),
        RouteId::ListVaults => on(method, vaults::list),
        RouteId::CreateVault => on(method, vaults::create),
        RouteId::ShowVault => on(method, vaults::show),
        RouteId::DeleteVault => on(method, vaults::delete),
        RouteId::ListDeletedVaults => on(method, deleted_vaults::list),
        RouteId::ShowDeletedVault => on(method, deleted_vaults::show),
        RouteId::UndeleteVault => on(method, deleted_vaults::undelete),
        RouteId::ShowSettings => on(method, settings::show),
        RouteId::ChangeSettings => on(method, settings::change),
        RouteId::ShowVaultGuard => on(method, guards::of_vault),
        RouteId::SetVaultGuard => on(method, guards::set),
        RouteId::RemoveVaultGuard => on(method, guards::remove),
        RouteId::ListApprovals => on(method, approvals::of_vault),
        RouteId::RequestApproval => on(method, approvals::request),
        RouteId::IssueSecurityPin => on(method, security_pins::issue),
        RouteId::ListPolicies => on(method, policies::list),
        RouteId::CreatePolicy => on(method, policies::create),
        RouteId::ShowPolicy => on(method, policies::show),
        RouteId::ChangePolicy => on(method, policies::change),
        RouteId::DeletePolicy => on(method, policies::delete),
        RouteId::ListContainers => on(method, containers::list),
        RouteId::ShowContainer => on(method, containers::show),
        RouteId::UnregisterContainer => on(method, containers::unregister),
        RouteId::ListVirtualMachines => on(method, virtual_machines::list),
        RouteId::ShowVirtualMachine => on(method, virtual_machines::show),
        RouteId::Discover => on(method, virtual_machines::discover),
        RouteId::FoundMachines => on(method, virtual_machines::found),
        RouteId::ListItems => on(method, items::list),
        RouteId::ShowItem => on(method, items::show),
        RouteId::ProtectItem => on(method, items::protect),
        RouteId::StopItem => on(method, items::stop),
        RouteId::UndeleteItem => on(method, items::undelete),
        RouteId::BackUpItem => on(method, items::back_up),
        RouteId::ItemPoints => on(method, items::list_points),
        RouteId::ListJobs => on(method, jobs::list),
        RouteId::ShowJob => on(method, jobs::show),
        RouteId::CancelJob => on(method, jobs::cancel),
        RouteId::Link => on(method, link::link),
        RouteId::BeginJob => on(method, link::begin),
        RouteId::ReportJob => on(method, link::report),
        RouteId::FinishJob => on(method, link::finish),
        RouteId::ListOwnJobs => on(method, own_jobs::list),
        RouteId::ShowOwnJob => on(method, own_jobs::show),
        RouteId::CancelOwnJob => on(method, own_jobs::cancel),
        RouteId::ListAlerts => on(method, alerts::list),
        RouteId::ShowAlert => on(method, alerts::show),
        RouteId::InactivateAlert => on(method, alerts::inactivate),
        RouteId::ShowNotifications => on(method, notifications::show),
        RouteId::ChangeNotifications => on(method, notifications::change),
        RouteId::TestNotifications => on(method, notifications::test),
        RouteId::BeginSeed => on(method, seeds::begin),
        RouteId::MissingOfSeed => on(method, seeds::missing),
        RouteId::PutSeedPack => on(method, seeds::put_pack),
        RouteId::CommitSeed => on(method, seeds::commit),
        RouteId::VaultPoints => on(method, vaults::points),
        RouteId::ExportPoint => on(method, exports::point),
        RouteId::ExportSizes => on(method, exports::sizes),
        RouteId::ExportBlobs => on(method, exports::blobs),
        RouteId::IssueCredentials => on(method, machines::issue_credentials),
        RouteId::Register => on(method, machines::register),
        RouteId::ShowMachine => on(method, machines::show),
        RouteId::ShowItemSettings => on(method, machine_settings::show),
        RouteId::ChangeItemSettings => on(method, machine_settings::change),
        RouteId::ShowOwnProtection => on(method, link::show_protection),
        RouteId::ListOwnAlerts => on(method, alerts::list_own),
        RouteId::ShowOwnSettings => on(method, machine_settings::show_own),
        RouteId::ChangeOwnSettings => on(method, machine_settings::change_own),
        RouteId::DeleteOwnData => on(method, security_pins::delete_data),
        RouteId::UnregisterMachine => on(method, security_pins::unregister),
        RouteId::ListKeySets => on(method, key_sets::list),
        RouteId::AddKeySet => on(method, key_sets::add),
        RouteId::JoinKeySet => on(method, key_sets::join),
        RouteId::BeginSession => on(method, sessions::begin),
        RouteId::EndSession => on(method, sessions::end),
        RouteId::Missing => on(method, sessions::missing),
        RouteId::PutPack => on(method, sessions::put_pack),
        RouteId::Commit => on(method, sessions::commit),
        RouteId::Fetch => on(method, fetch::fetch),
        RouteId::ListPoints => on(method, points::list),
        RouteId::ShowPoint => on(method, points::show),
        RouteId::PointObject => on(method, points::object),
        RouteId::CheckPoint => on(method, points::check),
        RouteId::ScrubPoint => on(method, points::scrub),
    }
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).expect("the table of routes has common methods only")
}
