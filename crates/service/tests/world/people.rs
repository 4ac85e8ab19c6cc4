//! People and service principals for tests.

use strongroom_api::{AddSecret, AssignRole, Client, CreateServicePrincipal, CreateUser, Secret, SignIn};
use strongroom_model::{ApplicationId, AssignmentId, Role};

use super::World;

/// What every user of the tests has for a password.
pub const PASSWORD: &str = "a password of a test";

impl World {
    /// Makes a user with roles, each with its scope as people write it; gives an access token.
    pub async fn user(&self, name: &str, roles: &[(Role, &str)]) -> String {
        let administrator = self.administrator().await;
        let create = CreateUser {
            name: name.parse().unwrap(),
            email: String::new(),
            password: Secret::new(PASSWORD),
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
