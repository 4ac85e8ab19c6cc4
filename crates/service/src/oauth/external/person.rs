//! Who a person is here whom a provider vouches for: the user whom somebody linked, or a new one.

use serde_json::{Map, Value};
use strongroom_api::Code;
use strongroom_db::{IdentityRow, UserRow};
use strongroom_model::{IdentityId, MailAddress, Permission, UserId, UserName};

use super::provider::Vouched;
use crate::accounts::new_id;
use crate::oauth::{Asked, Refused, Signed, write_down};
use crate::provider_options::ProviderOptions;
use crate::shared::Shared;
use crate::vault_refusal::refuse;

/// The user, if the provider's settings and ours let the person in. A new one may do nothing yet.
pub(super) async fn user_of(
    shared: &Shared,
    asked: &Asked,
    provider: &ProviderOptions,
    vouched: &Vouched,
) -> Result<UserRow, Refused> {
    if let Some(why) = shut_out(provider, &vouched.claims) {
        return Err(Refused::new(Code::Forbidden, why));
    }
    if let Some(user) = linked(shared, provider, vouched).await? {
        return Ok(user);
    }
    if !provider.create_users {
        return Err(Refused::new(Code::Forbidden, nobody(provider, vouched)));
    }
    let (user, identity) = newcomer(shared, provider, vouched)?;
    let made = shared.db.insert_user_of(&user, &identity).await;
    if made.map_err(|error| refuse(error.into()))? {
        tracing::info!(user = user.name, provider = %provider.name, "made a user at the first sign-in");
        let (id, name) = (user.id.into(), user.name.clone());
        let action = Permission::UsersManage.action().expect("it is asked for by routes");
        write_down(shared, asked, action, Some(Signed::User { id, name }), "", 201).await;
        return Ok(user);
    }
    // Another tab of the same person was faster; or the name is somebody's, who may be another person.
    let found = linked(shared, provider, vouched).await?;
    found.ok_or_else(|| {
        let detail = format!(
            "There is a user called {} already, and nobody has said that this is you. {}",
            user.name,
            nobody(provider, vouched)
        );
        Refused::new(Code::Forbidden, detail)
    })
}

async fn linked(shared: &Shared, provider: &ProviderOptions, vouched: &Vouched) -> Result<Option<UserRow>, Refused> {
    let found = shared.db.identity(&provider.issuer, &vouched.subject).await;
    let Some(identity) = found.map_err(|error| refuse(error.into()))? else {
        return Ok(None);
    };
    let user = shared.db.user_by_id(identity.user).await;
    let user = user.map_err(|error| refuse(error.into()))?;
    let Some(user) = user.filter(|user| !user.disabled) else {
        let detail = "The account is shut: ask whoever manages the users of this service";
        return Err(Refused::new(Code::Forbidden, detail));
    };
    let used = shared.db.use_identity(identity.id, shared.clock.now()).await;
    used.map_err(|error| refuse(error.into()))?;
    Ok(Some(user))
}

fn newcomer(shared: &Shared, provider: &ProviderOptions, vouched: &Vouched) -> Result<(UserRow, IdentityRow), Refused> {
    let now = shared.clock.now();
    let said = text(&vouched.claims, &provider.name_claim).unwrap_or_default();
    let name: UserName = said.parse().map_err(|error| {
        let claim = &provider.name_claim;
        let detail = format!(
            "{} says \"{said}\" for {claim}, which cannot be a name here ({error}). {}",
            provider.title,
            nobody(provider, vouched)
        );
        Refused::new(Code::Forbidden, detail)
    })?;
    let user = UserRow {
        id: UserId::from_uuid(new_id(now)),
        name: name.to_string(),
        email: verified_email(&vouched.claims).map(String::from).unwrap_or_default(),
        disabled: false,
        password_hash: String::new(),
        created: now,
    };
    let identity = IdentityRow {
        id: IdentityId::from_uuid(new_id(now)),
        issuer: provider.issuer.clone(),
        subject: vouched.subject.clone(),
        user: user.id,
        created: now,
        created_by: format!("sign-in with {}", provider.name),
        used: Some(now),
    };
    Ok((user, identity))
}

fn nobody(provider: &ProviderOptions, vouched: &Vouched) -> String {
    format!(
        "Nobody here is linked with who you are at {}. Whoever manages the users can do that: `strongroom user link USER \
         --provider {} --subject {}`",
        provider.title,
        provider.name,
        in_a_shell(&vouched.subject)
    )
}

/// As one word of a shell, whatever is in it: somebody will copy the command.
fn in_a_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Why the provider's settings keep this person out, as a sentence.
fn shut_out(provider: &ProviderOptions, claims: &Map<String, Value>) -> Option<String> {
    let title = &provider.title;
    let domains = &provider.email_domains;
    if !domains.is_empty() {
        let email = verified_email(claims);
        let domain = email.as_ref().and_then(|email| email.as_str().rsplit_once('@'));
        let known = domain.is_some_and(|(_, domain)| domains.iter().any(|one| one.eq_ignore_ascii_case(domain)));
        if !known {
            return Some(format!(
                "This service takes people from {title} only if their verified e-mail address is in {}",
                domains.join(" or ")
            ));
        }
    }
    let required = provider.required.as_ref()?;
    let has = match claims.get(&required.claim) {
        Some(Value::String(one)) => required.values.contains(one),
        Some(Value::Array(several)) => several.iter().any(|one| {
            one.as_str()
                .is_some_and(|one| required.values.iter().any(|value| value == one))
        }),
        _ => false,
    };
    (!has).then(|| {
        format!(
            "This service takes people from {title} only if it says {} {} of them: ask whoever manages the people there",
            required.claim,
            required.values.join(" or ")
        )
    })
}

/// The address, if the provider says that it is the person's.
fn verified_email(claims: &Map<String, Value>) -> Option<MailAddress> {
    // Some write the word.
    let verified = matches!(claims.get("email_verified"), Some(Value::Bool(true)))
        || text(claims, "email_verified") == Some("true");
    text(claims, "email").filter(|_| verified)?.parse().ok()
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strongroom_api::Secret;

    use super::*;
    use crate::provider_options::RequiredClaim;

    fn provider(domains: &[&str], required: Option<(&str, &[&str])>) -> ProviderOptions {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        ProviderOptions {
            name: "corp".parse().unwrap(),
            title: "Example Corp".to_owned(),
            issuer: "https://login.example.org".to_owned(),
            client_id: "strongroom".to_owned(),
            client_secret: Secret::new("secret"),
            scopes: vec![],
            name_claim: "preferred_username".to_owned(),
            create_users: true,
            email_domains: owned(domains),
            required: required.map(|(claim, values)| RequiredClaim {
                claim: claim.to_owned(),
                values: owned(values),
            }),
            authority: None,
        }
    }

    #[test]
    fn a_command_to_copy_is_one_command() {
        assert_eq!(in_a_shell("auth0|5f"), "'auth0|5f'");
        assert_eq!(in_a_shell("a'b"), r"'a'\''b'");
    }

    #[test]
    fn who_is_let_in() {
        let (anybody, mails) = (provider(&[], None), provider(&["example.org", "b.example"], None));
        let groups = provider(&[], Some(("groups", &["backup", "it"])));
        for (provider, claims, expected) in [
            (&anybody, json!({}), true),
            (
                &mails,
                json!({"email": "eve@Example.org", "email_verified": true}),
                true,
            ),
            (
                &mails,
                json!({"email": "eve@b.example", "email_verified": "true"}),
                true,
            ),
            (
                &mails,
                json!({"email": "eve@example.org", "email_verified": false}),
                false,
            ),
            (&mails, json!({"email": "eve@example.org"}), false),
            (
                &mails,
                json!({"email": "eve@notexample.org", "email_verified": true}),
                false,
            ),
            (
                &mails,
                json!({"email": "a@example.org@evil.example", "email_verified": true}),
                false,
            ),
            (&mails, json!({}), false),
            (&groups, json!({"groups": ["sales", "it"]}), true),
            (&groups, json!({"groups": "backup"}), true),
            (&groups, json!({"groups": "backup it"}), false),
            (&groups, json!({"groups": ["Backup", 3]}), false),
            (&groups, json!({"groups": {"it": true}}), false),
            (&groups, json!({}), false),
        ] {
            let refused = shut_out(provider, claims.as_object().unwrap());
            assert_eq!(refused.is_none(), expected, "{claims}: {refused:?}");
        }
    }
}
