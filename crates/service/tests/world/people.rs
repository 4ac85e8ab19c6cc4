//! People and service principals for tests.

use strongroom_api::{AddSecret, AssignRole, Client, CreateServicePrincipal, CreateUser, Secret, SignIn};
use strongroom_model::{ApplicationId, AssignmentId, Role};

use super::World;

/// What every user of the tests has for a password.
pub const PASSWORD: &str = "a password of a test";

/// What an authenticator shows.
pub fn totp(secret: &Secret, now: i64) -> String {
    let bytes = data_encoding::BASE32_NOPAD.decode(secret.reveal().as_bytes()).unwrap();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = aws_lc_rs::hmac::sign(&key, &(now / 30).to_be_bytes());
    let offset = usize::from(tag.as_ref()[19] & 15);
    let number = u32::from_be_bytes(tag.as_ref()[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

impl World {
    /// Makes a user with roles, each with its scope as people write it; gives an access token.
    pub async fn user(&self, name: &str, roles: &[(Role, &str)]) -> String {
        let administrator = self.administrator().await;
        let create = CreateUser {
            name: name.parse().unwrap(),
            email: String::new(),
            password: Some(Secret::new(PASSWORD)),
        };
        administrator.create_user(&create).await.unwrap();
        for (role, scope) in roles {
            self.assign(name, *role, scope).await;
        }
        self.user_token(name).await
    }

    /// A client of a user.
    pub async fn client_of(&self, name: &str) -> Client {
        let session = Client::sign_in_administrator(self.client_options(), name, Secret::new(PASSWORD))
            .await
            .unwrap();
        let refresh_token = session.refresh_token;
        Client::new(self.client_options(), SignIn::Administrator { refresh_token }).unwrap()
    }

    pub async fn user_token(&self, name: &str) -> String {
        let password = PASSWORD.replace(' ', "+");
        self.token(&format!("grant_type=password&username={name}&password={password}"))
            .await
    }

    pub async fn assign(&self, principal: &str, role: Role, scope: &str) -> AssignmentId {
        let assign = AssignRole {
            principal: principal.to_owned(),
            role,
            scope: scope.parse().unwrap(),
        };
        self.administrator().await.assign_role(&assign).await.unwrap().id
    }

    /// Makes a service principal with a secret.
    pub async fn service_principal(&self, name: &str) -> (ApplicationId, Secret) {
        let administrator = self.administrator().await;
        let create = CreateServicePrincipal {
            name: name.parse().unwrap(),
            redirects: vec![],
        };
        let made = administrator.create_service_principal(&create).await.unwrap();
        let add = AddSecret {
            label: "first".to_owned(),
            days: 30,
        };
        let added = administrator.add_secret(name, &add).await.unwrap();
        (made.id, added.secret)
    }
}
