//! People, service principals, roles, and how they sign in.

use strongroom_db::*;
use strongroom_model::*;

use super::{later, now, vault, vault_row};

fn user(number: u8, name: &str) -> UserRow {
    UserRow {
        id: UserId::from_bytes([number; 16]),
        name: name.to_owned(),
        email: String::new(),
        disabled: false,
        password_hash: "hash".to_owned(),
        created: now(),
    }
}

fn assignment(number: u8, principal: PrincipalId, scope: Scope) -> AssignmentRow {
    AssignmentRow {
        id: AssignmentId::from_bytes([number; 16]),
        principal,
        role: Role::Owner,
        scope,
        created: now(),
        created_by: "somebody".to_owned(),
    }
}

pub async fn somebody_always_owns_the_subscription(db: Db) {
    let (one, two) = (user(1, "one"), user(2, "two"));
    let owns = |number, user: &UserRow| assignment(number, user.id.into(), Scope::Subscription);
    assert!(db.insert_user(&one, Some(&owns(1, &one))).await.unwrap());
    assert!(db.insert_user(&two, None).await.unwrap());
    let name = "ONE".parse().unwrap();
    assert_eq!(db.set_user_disabled(&name, true).await.unwrap(), UserChanged::LastOwner);
    assert_eq!(db.delete_user(one.id).await.unwrap(), UserChanged::LastOwner);
    assert!(!db.remove_assignment(owns(1, &one).id).await.unwrap());
    assert_eq!(db.user("one").await.unwrap(), Some(one.clone()));
    assert!(db.assign_role(&owns(2, &two)).await.unwrap());
    assert!(!db.assign_role(&owns(3, &two)).await.unwrap());
    assert_eq!(db.set_user_disabled(&name, true).await.unwrap(), UserChanged::Done);
    assert_eq!(db.delete_user(two.id).await.unwrap(), UserChanged::LastOwner);
    assert_eq!(db.set_user_disabled(&name, false).await.unwrap(), UserChanged::Done);
    assert_eq!(db.delete_user(two.id).await.unwrap(), UserChanged::Done);
    assert_eq!(db.delete_user(two.id).await.unwrap(), UserChanged::Absent);
    assert_eq!(db.roles_of(two.id.into()).await.unwrap(), []);
}

pub async fn roles_go_with_what_they_were_for(db: Db) {
    let owner = user(1, "owner");
    let everywhere = assignment(1, owner.id.into(), Scope::Subscription);
    db.insert_user(&owner, Some(&everywhere)).await.unwrap();
    let id = vault(&db, 1).await;
    let group: ResourceGroupName = "Europe".parse().unwrap();
    let row = ResourceGroupRow {
        name: group.clone(),
        region: Region::default(),
        tags: [("a".to_owned(), "b".to_owned())].into(),
        created: now(),
    };
    assert!(db.insert_resource_group(&row).await.unwrap());
    assert!(!db.insert_resource_group(&row).await.unwrap());
    assert_eq!(db.resource_group(&"eUROPE".parse().unwrap()).await.unwrap(), Some(row));
    let principal: PrincipalId = owner.id.into();
    db.assign_role(&assignment(2, principal, Scope::Vault(id)))
        .await
        .unwrap();
    db.assign_role(&assignment(3, principal, Scope::resource_group(&group)))
        .await
        .unwrap();
    let mut inside = vault_row(2, "inside");
    inside.resource_group = group.clone();
    assert!(db.insert_vault(&inside).await.unwrap());
    let mut nowhere = vault_row(3, "nowhere");
    nowhere.resource_group = "absent".parse().unwrap();
    assert!(matches!(db.insert_vault(&nowhere).await, Err(DbError::NoResourceGroup)));
    assert_eq!(
        db.delete_resource_group(&group).await.unwrap(),
        ResourceGroupDeleted::NotEmpty(1)
    );
    for vault in [id, inside.id] {
        assert_eq!(db.delete_vault(vault).await.unwrap(), VaultDeleted::Deleted);
    }
    assert_eq!(
        db.delete_resource_group(&group).await.unwrap(),
        ResourceGroupDeleted::Deleted
    );
    assert_eq!(
        db.delete_resource_group(&group).await.unwrap(),
        ResourceGroupDeleted::Absent
    );
    assert_eq!(db.roles_of(principal).await.unwrap(), [everywhere]);
}

pub async fn keys_of_applications_are_bound_and_listed(db: Db) {
    let application = ApplicationRow {
        id: ApplicationId::from_bytes([1; 16]),
        name: "Robot".parse().unwrap(),
        redirects: vec!["https://a/".to_owned(), "https://b/".to_owned()],
        disabled: false,
        created: now(),
    };
    assert!(db.insert_application(&application).await.unwrap());
    assert!(!db.insert_application(&application).await.unwrap());
    let found = db.application_by_name(&"rOBOT".parse().unwrap()).await.unwrap();
    assert_eq!(found, Some(application.clone()));
    let key = |number: u8, kind| ApplicationKeyRow {
        id: KeyId::from_bytes([number; 16]),
        application: application.id,
        label: "label".to_owned(),
        kind,
        created: later(i64::from(number)),
        expires: later(100),
    };
    let secret = key(1, ApplicationKeyKind::Secret { hash: [1; 32] });
    let certificate = key(
        2,
        ApplicationKeyKind::Certificate {
            der: vec![1, 2, 3],
            thumbprint: [2; 32],
        },
    );
    let hand = PrincipalId::from_bytes([9; 16]);
    assert!(db.insert_application_key(&secret, hand, 2).await.unwrap());
    assert!(db.insert_application_key(&certificate, hand, 2).await.unwrap());
    let third = key(3, ApplicationKeyKind::Secret { hash: [3; 32] });
    assert!(!db.insert_application_key(&third, hand, 2).await.unwrap());
    assert_eq!(
        db.application_keys(application.id).await.unwrap(),
        [secret, certificate.clone()]
    );
    assert!(db.delete_application_key(application.id, certificate.id).await.unwrap());
    assert!(db.use_assertion([9; 32], later(10), now()).await.unwrap());
    assert!(!db.use_assertion([9; 32], later(10), later(10)).await.unwrap());
    assert!(
        db.use_assertion([9; 32], later(30), later(11)).await.unwrap(),
        "it was forgotten when it was out of date"
    );
    assert!(db.delete_application(application.id).await.unwrap());
    assert_eq!(db.application(application.id).await.unwrap(), None);
}

pub async fn a_refresh_token_is_good_once(db: Db) {
    let login = login(UserId::from_bytes([1; 16]), 1);
    db.begin_login(&login).await.unwrap();
    let renew = |generation, seconds| db.renew_login(login.id, generation, later(seconds), later(seconds - 60));
    assert_eq!(renew(0, 1).await.unwrap(), LoginRenewed::Renewed(1));
    assert_eq!(renew(0, 61).await.unwrap(), LoginRenewed::Again(1));
    assert_eq!(renew(1, 100).await.unwrap(), LoginRenewed::Renewed(2));
    assert_eq!(renew(1, 161).await.unwrap(), LoginRenewed::Reused);
    assert_eq!(renew(2, 162).await.unwrap(), LoginRenewed::Over);
    db.begin_login(&login).await.unwrap();
    assert_eq!(renew(0, 1000).await.unwrap(), LoginRenewed::Over);
    db.end_sign_ins(login.user).await.unwrap();
    assert_eq!(renew(0, 1).await.unwrap(), LoginRenewed::Over);
}

pub async fn codes_are_good_once(db: Db) {
    let user = UserId::from_bytes([1; 16]);
    let code = browser_code(user, 1);
    db.insert_authorization_code(&code, now()).await.unwrap();
    assert_eq!(db.take_authorization_code([1; 32]).await.unwrap(), Some(code));
    assert_eq!(db.take_authorization_code([1; 32]).await.unwrap(), None);
    let device = DeviceCodeRow {
        hash: [2; 32],
        user_code: "BBBB".to_owned(),
        client: "cli".to_owned(),
        network: "192.0.2.1/32".to_owned(),
        created: now(),
        expires: later(900),
        interval_seconds: 5,
    };
    assert!(db.insert_device_code(&device).await.unwrap());
    assert!(!db.insert_device_code(&device).await.unwrap());
    let poll = |client, seconds| db.poll_device_code([2; 32], client, later(seconds));
    assert_eq!(poll("other", 1).await.unwrap(), DevicePoll::Expired);
    assert_eq!(poll("cli", 1).await.unwrap(), DevicePoll::Pending);
    assert_eq!(poll("cli", 2).await.unwrap(), DevicePoll::TooSoon);
    assert_eq!(
        db.device_code_client("BBBB", later(3)).await.unwrap().as_deref(),
        Some("cli")
    );
    assert!(db.decide_device_code("BBBB", Some(user), later(4)).await.unwrap());
    assert!(!db.decide_device_code("BBBB", None, later(4)).await.unwrap());
    assert_eq!(db.device_code_client("BBBB", later(4)).await.unwrap(), None);
    assert_eq!(poll("cli", 5).await.unwrap(), DevicePoll::Allowed(user));
    assert_eq!(poll("cli", 20).await.unwrap(), DevicePoll::Expired);
}

/// A login, a code that a browser carries, and a code that a program waits under: all of one user's.
async fn sign_in_everywhere(db: &Db, user: UserId, number: u8) {
    db.begin_login(&login(user, number)).await.unwrap();
    let code = browser_code(user, number);
    db.insert_authorization_code(&code, now()).await.unwrap();
    let device = waiting_code(number, "192.0.2.1/32", 900);
    assert!(db.insert_device_code(&device).await.unwrap());
    assert!(
        db.decide_device_code(&device.user_code, Some(user), now())
            .await
            .unwrap()
    );
}

fn login(user: UserId, number: u8) -> LoginRow {
    LoginRow {
        id: LoginId::from_bytes([number; 16]),
        user,
        client: "cli".to_owned(),
        begun: now(),
        expires: later(1000),
    }
}

fn browser_code(user: UserId, number: u8) -> AuthorizationCodeRow {
    AuthorizationCodeRow {
        hash: [number; 32],
        user,
        client: "portal".to_owned(),
        redirect: "http://localhost/".to_owned(),
        challenge: "c".to_owned(),
        expires: later(60),
    }
}

fn waiting_code(number: u8, network: &str, seconds: i64) -> DeviceCodeRow {
    DeviceCodeRow {
        hash: [number; 32],
        user_code: format!("CODE-{number}"),
        client: "cli".to_owned(),
        network: network.to_owned(),
        created: now(),
        expires: later(seconds),
        interval_seconds: 5,
    }
}

/// Which of these go on; asking uses them up.
async fn goes_on(db: &Db, number: u8) -> [bool; 3] {
    let id = LoginId::from_bytes([number; 16]);
    let login = db.renew_login(id, 0, later(1), now()).await.unwrap();
    let code = db.take_authorization_code([number; 32]).await.unwrap();
    let device = db.poll_device_code([number; 32], "cli", later(10)).await.unwrap();
    [
        login != LoginRenewed::Over,
        code.is_some(),
        device != DevicePoll::Expired,
    ]
}

pub async fn what_ends_a_users_sign_ins_ends_all_of_them_and_no_others(db: Db) {
    let (eve, bob, owner) = (user(1, "eve"), user(2, "bob"), user(3, "owner"));
    for user in [&eve, &bob] {
        assert!(db.insert_user(user, None).await.unwrap());
    }
    let owns = assignment(1, owner.id.into(), Scope::Subscription);
    assert!(db.insert_user(&owner, Some(&owns)).await.unwrap());
    let name: UserName = "eve".parse().unwrap();
    sign_in_everywhere(&db, bob.id, 100).await;

    sign_in_everywhere(&db, eve.id, 1).await;
    assert_eq!(goes_on(&db, 1).await, [true; 3]);

    sign_in_everywhere(&db, eve.id, 2).await;
    assert!(!db.replace_password("eve", "not it", "new").await.unwrap());
    assert!(db.replace_password("eve", &eve.password_hash, "new").await.unwrap());
    assert_eq!(goes_on(&db, 2).await, [false; 3]);

    sign_in_everywhere(&db, eve.id, 3).await;
    db.put_password_link(eve.id, [1; 32], later(60)).await.unwrap();
    assert!(db.use_password_link([1; 32], "newer", now()).await.unwrap());
    assert_eq!(goes_on(&db, 3).await, [false; 3]);

    sign_in_everywhere(&db, eve.id, 4).await;
    let linked = identity(1, &eve, "1");
    assert!(db.link_identity(&linked).await.unwrap());
    assert_eq!(db.unlink_identity(eve.id, linked.id).await.unwrap(), UserChanged::Done);
    assert_eq!(goes_on(&db, 4).await, [false; 3]);

    sign_in_everywhere(&db, eve.id, 5).await;
    db.put_password_link(eve.id, [2; 32], later(60)).await.unwrap();
    for disabled in [true, false] {
        let changed = db.set_user_disabled(&name, disabled).await.unwrap();
        assert_eq!(changed, UserChanged::Done);
    }
    assert_eq!(goes_on(&db, 5).await, [false; 3]);
    assert_eq!(db.password_link([2; 32], now()).await.unwrap(), None);

    sign_in_everywhere(&db, eve.id, 6).await;
    db.end_sign_ins(eve.id).await.unwrap();
    assert_eq!(goes_on(&db, 6).await, [false; 3]);

    sign_in_everywhere(&db, eve.id, 7).await;
    assert_eq!(db.delete_user(eve.id).await.unwrap(), UserChanged::Done);
    assert_eq!(goes_on(&db, 7).await, [false; 3]);
    assert_eq!(goes_on(&db, 100).await, [true; 3], "bob had nothing to do with it");
}

/// A hundred of one network wait, of ten thousand in all.
pub async fn one_network_takes_its_share_of_the_waiting_places(db: Db) {
    let sign_in = |number: u8, network: &str| ExternalSignInRow {
        hash: [number; 32],
        browser: [number; 32],
        provider: "corp".to_owned(),
        network: network.to_owned(),
        continues: "{}".to_owned(),
        expires: later(900),
    };
    let (greedy, other) = ("2001:db8::/48", "2001:db8:1::/48");
    for number in 0..=100 {
        let code = waiting_code(number, greedy, 900);
        assert_eq!(db.insert_device_code(&code).await.unwrap(), number < 100, "{number}");
        let sent = sign_in(number, greedy);
        assert_eq!(
            db.insert_external_sign_in(&sent, now()).await.unwrap(),
            number < 100,
            "{number}"
        );
    }
    assert!(db.insert_device_code(&waiting_code(101, other, 900)).await.unwrap());
    assert!(db.insert_external_sign_in(&sign_in(101, other), now()).await.unwrap());
    // Whoever goes makes room.
    assert!(db.decide_device_code("CODE-7", None, now()).await.unwrap());
    assert_eq!(
        db.poll_device_code([7; 32], "cli", later(9)).await.unwrap(),
        DevicePoll::Refused
    );
    assert!(db.insert_device_code(&waiting_code(102, greedy, 900)).await.unwrap());
    let gone = db.take_external_sign_in([7; 32], [7; 32]).await.unwrap();
    assert_eq!(gone, Some(sign_in(7, greedy)));
    assert!(db.insert_external_sign_in(&sign_in(102, greedy), now()).await.unwrap());
}

pub async fn one_time_passwords_are_good_once(db: Db) {
    let user = UserId::from_bytes([1; 16]);
    for sealed in [b"one", b"two"] {
        assert!(db.begin_one_time_passwords(user, sealed, now()).await.unwrap());
    }
    let row = db.one_time_passwords(user).await.unwrap().unwrap();
    assert_eq!((row.sealed_secret.as_slice(), row.confirmed), (&b"two"[..], false));
    assert!(
        db.confirm_one_time_passwords(user, 7, &[[1; 32], [2; 32]])
            .await
            .unwrap()
    );
    assert!(!db.confirm_one_time_passwords(user, 8, &[]).await.unwrap());
    assert!(!db.begin_one_time_passwords(user, b"three", now()).await.unwrap());
    for (step, expected) in [(7, false), (8, true), (8, false), (7, false), (10, true)] {
        assert_eq!(db.use_one_time_password(user, step).await.unwrap(), expected, "{step}");
    }
    for expected in [true, false] {
        assert_eq!(db.use_recovery_code(user, [1; 32]).await.unwrap(), expected);
    }
    assert!(db.end_one_time_passwords(user).await.unwrap());
    assert!(!db.end_one_time_passwords(user).await.unwrap());
    assert!(!db.use_recovery_code(user, [2; 32]).await.unwrap());
}

pub async fn the_audit_log_grows_and_is_filtered(db: Db) {
    let line = |number: u8, actor| NewAuditRow {
        time: later(i64::from(number)),
        actor,
        action: "Vaults/write".to_owned(),
        method: "POST".to_owned(),
        path: "/x".to_owned(),
        scope: Scope::Subscription,
        status: 201,
        peer: "::1".to_owned(),
        request: [number; 16],
    };
    let id = PrincipalId::from_bytes([5; 16]);
    let name = "Eve".to_owned();
    let lines = [
        line(1, Actor::User { id, name: name.clone() }),
        line(2, Actor::Application { id, name }),
        line(3, Actor::Nobody { name: String::new() }),
    ];
    for line in &lines {
        db.append_audit(line).await.unwrap();
    }
    let read = async |filter: AuditFilter| {
        let rows = db.audit(&filter, 0, 10).await.unwrap();
        rows.into_iter().map(|row| row.line).collect::<Vec<_>>()
    };
    assert_eq!(read(AuditFilter::default()).await, lines);
    for actor in ["eVE".to_owned(), id.to_string()] {
        let actor = Some(actor);
        assert_eq!(
            read(AuditFilter {
                actor,
                ..AuditFilter::default()
            })
            .await,
            lines[..2]
        );
    }
    let (since, until) = (Some(later(2)), Some(later(3)));
    assert_eq!(
        read(AuditFilter {
            since,
            until,
            ..AuditFilter::default()
        })
        .await,
        lines[1..2]
    );
    let action = Some("vaults/delete".to_owned());
    assert_eq!(
        read(AuditFilter {
            action,
            ..AuditFilter::default()
        })
        .await,
        []
    );
    let first = db.audit(&AuditFilter::default(), 0, 1).await.unwrap();
    let rest = db.audit(&AuditFilter::default(), first[0].number, 10).await.unwrap();
    assert_eq!(rest.len(), 2);
}

fn identity(number: u8, user: &UserRow, subject: &str) -> IdentityRow {
    IdentityRow {
        id: IdentityId::from_bytes([number; 16]),
        issuer: "https://login.example.org".to_owned(),
        subject: subject.to_owned(),
        user: user.id,
        created: now(),
        created_by: "somebody".to_owned(),
        used: None,
    }
}

pub async fn an_identity_is_one_users_and_a_way_in(db: Db) {
    let mut eve = user(1, "eve");
    eve.password_hash = String::new();
    let (bob, first) = (user(2, "bob"), identity(1, &eve, "1"));
    assert!(!db.link_identity(&first).await.unwrap(), "there is no such user");
    let taken = UserRow {
        name: "BOB".to_owned(),
        ..eve.clone()
    };
    assert!(db.insert_user(&bob, None).await.unwrap());
    assert!(!db.insert_user_of(&taken, &first).await.unwrap());
    assert!(db.insert_user_of(&eve, &first).await.unwrap());
    let again = identity(2, &user(3, "carol"), "1");
    assert!(!db.insert_user_of(&user(3, "carol"), &again).await.unwrap());
    assert_eq!(db.user("carol").await.unwrap(), None, "all or nothing");
    assert!(!db.link_identity(&identity(2, &bob, "1")).await.unwrap());
    db.use_identity(first.id, later(9)).await.unwrap();
    let used = IdentityRow {
        used: Some(later(9)),
        ..first.clone()
    };
    assert_eq!(db.identity(&first.issuer, "1").await.unwrap(), Some(used.clone()));
    assert_eq!(db.identity("https://elsewhere.example.org", "1").await.unwrap(), None);
    assert_eq!(db.identities_of(eve.id).await.unwrap(), [used]);

    // Without a password it is the only way in of the only owner.
    let owns = assignment(1, eve.id.into(), Scope::Subscription);
    assert!(db.assign_role(&owns).await.unwrap());
    let unlink = async |user: &UserRow| db.unlink_identity(user.id, first.id).await.unwrap();
    assert_eq!(
        (unlink(&bob).await, unlink(&eve).await),
        (UserChanged::Absent, UserChanged::LastOwner)
    );
    assert!(
        db.assign_role(&assignment(2, bob.id.into(), Scope::Subscription))
            .await
            .unwrap()
    );
    assert_eq!(
        (unlink(&eve).await, unlink(&eve).await),
        (UserChanged::Done, UserChanged::Absent)
    );
    assert_eq!(
        db.delete_user(bob.id).await.unwrap(),
        UserChanged::LastOwner,
        "eve has no way in"
    );
    assert!(db.link_identity(&first).await.unwrap());
    assert_eq!(db.delete_user(eve.id).await.unwrap(), UserChanged::Done);
    assert_eq!(db.identity(&first.issuer, "1").await.unwrap(), None);
}

pub async fn an_external_sign_in_is_taken_once_by_its_browser(db: Db) {
    let row = |number: u8, expires| ExternalSignInRow {
        hash: [number; 32],
        browser: [9; 32],
        provider: "corp".to_owned(),
        network: String::new(),
        continues: "{}".to_owned(),
        expires,
    };
    assert!(db.insert_external_sign_in(&row(1, later(9)), now()).await.unwrap());
    assert_eq!(db.take_external_sign_in([1; 32], [8; 32]).await.unwrap(), None);
    assert_eq!(db.take_external_sign_in([2; 32], [9; 32]).await.unwrap(), None);
    let taken = db.take_external_sign_in([1; 32], [9; 32]).await.unwrap();
    assert_eq!(taken, Some(row(1, later(9))));
    assert_eq!(db.take_external_sign_in([1; 32], [9; 32]).await.unwrap(), None);
    assert!(db.insert_external_sign_in(&row(1, now()), now()).await.unwrap());
    assert!(db.insert_external_sign_in(&row(2, later(9)), now()).await.unwrap());
    assert_eq!(
        db.take_external_sign_in([1; 32], [9; 32]).await.unwrap(),
        None,
        "it was over"
    );
}

pub async fn a_password_link_is_good_once_and_the_newest_only(db: Db) {
    let eve = user(1, "eve");
    db.insert_user(&eve, None).await.unwrap();
    db.put_password_link(eve.id, [1; 32], later(9)).await.unwrap();
    db.put_password_link(eve.id, [2; 32], later(9)).await.unwrap();
    let link = async |number, at| db.password_link([number; 32], at).await.unwrap();
    assert_eq!((link(1, now()).await, link(2, now()).await), (None, Some(eve.id)));
    assert_eq!(link(2, later(9)).await, None, "it is too late");
    assert!(!db.use_password_link([2; 32], "new", later(9)).await.unwrap());
    assert!(db.use_password_link([2; 32], "new", now()).await.unwrap());
    assert!(!db.use_password_link([2; 32], "newer", now()).await.unwrap());
    assert_eq!(db.user("eve").await.unwrap().unwrap().password_hash, "new");
}

pub async fn mail_goes_to_those_who_have_a_role_and_an_address(db: Db) {
    let people = [
        (1, "one", "1@example.org"),
        (2, "two", "2@example.org"),
        (3, "three", ""),
        (4, "four", "1@example.org"),
    ];
    for (number, name, email) in people {
        db.insert_user(&user(number, name), None).await.unwrap();
        assert!(db.set_user_email(&name.parse().unwrap(), email).await.unwrap());
        let scope = if number == 2 {
            Scope::Vault(VaultId::from_bytes([7; 16]))
        } else {
            Scope::Subscription
        };
        assert!(
            db.assign_role(&assignment(number, user(number, name).id.into(), scope))
                .await
                .unwrap()
        );
    }
    assert!(!db.set_user_email(&"nobody".parse().unwrap(), "").await.unwrap());
    let mails = async |role, scope| db.mails_of(&[role], &[scope]).await.unwrap();
    assert_eq!(mails(Role::Owner, Scope::Subscription).await, ["1@example.org"]);
    assert_eq!(
        mails(Role::Owner, Scope::Vault(VaultId::from_bytes([7; 16]))).await,
        ["2@example.org"]
    );
    assert_eq!(mails(Role::BackupReader, Scope::Subscription).await, [""; 0]);
    db.set_user_disabled(&"one".parse().unwrap(), true).await.unwrap();
    assert_eq!(mails(Role::Owner, Scope::Subscription).await, ["1@example.org"]);
    db.set_user_disabled(&"four".parse().unwrap(), true).await.unwrap();
    assert_eq!(mails(Role::Owner, Scope::Subscription).await, [""; 0]);
}
