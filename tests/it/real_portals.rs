//! What a real administrator meets: doctor, export, invite, scopes, roles, old releases.

use onboard::{
    sandbox::{Config, Sandbox, User},
    user::EmployeeType,
};

use crate::bench::{Bench, active, config, faulty, messages, portal, rows_of};

fn doctor(bench: &Bench, portal: &Sandbox, more: &[&str]) -> crate::bench::Ended {
    bench.key_of(portal);
    let origin = portal.origin();
    let mut args = vec!["doctor", "--portal", &origin, "--api-key-file", "key"];
    args.extend(more);
    bench.onboard(&args)
}

#[test]
fn doctor_finds_nothing_wrong_with_a_good_portal() {
    let bench = Bench::new();
    let portal = Sandbox::start(Config { machine_key: Some("m".into()), ..config(&active(3)) }).expect("a portal");
    bench.write("machinekey", "m\n");
    let ended = doctor(&bench, &portal, &["--sign-with", "machinekey"]).with(0);
    for says in [
        "✓ reachable",
        "✓ version        DocSpace 3.7.2",
        "the portal's owner",
        "✓ clock",
        "all types",
        "tenant 1",
        "✓ ledger",
    ] {
        assert!(ended.out.contains(says), "{says}\n{}", ended.out);
    }
    assert!(!ended.out.contains('✗'), "{}", ended.out);
    assert!(portal.stats().messages.is_empty() && portal.stats().invitations.is_empty());
    let json = doctor(&bench, &portal, &["--sign-with", "machinekey", "--json"]).with(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(json.as_array().is_some_and(|findings| findings.iter().all(|finding| finding["ok"] == true)));
}

#[test]
fn doctor_names_what_is_wrong_and_the_next_step() {
    let bench = Bench::new();
    let users = active(3);
    let unsigned = doctor(&bench, &portal(&users), &[]).with(3);
    assert!(unsigned.out.contains("✗ congratulation") && unsigned.out.contains("--sign-with"), "{}", unsigned.out);
    let good = portal(&users);
    bench.write("key", "sk-wrong");
    let origin = good.origin();
    let wrong = bench.onboard(&["doctor", "--portal", &origin, "--api-key-file", "key"]).with(3);
    assert!(wrong.out.contains("✗ key") && wrong.out.contains("make a new key"), "{}", wrong.out);
    let scoped = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Sandbox::start(Config { scopes, ..config(&users) }).expect("a portal")
    };
    let few = doctor(&bench, &scoped(&["accounts:read", "accounts:write"]), &[]).with(3);
    assert!(few.out.contains("neither links nor congratulations"), "{}", few.out);
    let read = doctor(&bench, &scoped(&["*:read"]), &[]).with(3);
    assert!(read.out.contains("but no congratulations"), "{}", read.out);
    let guest = Sandbox::start(Config { role: Some(EmployeeType::User), ..config(&users) }).expect("a portal");
    let guest = doctor(&bench, &guest, &[]).with(3);
    assert!(guest.out.contains("users and guests invite nobody"), "{}", guest.out);
    let nonsense = doctor(&bench, &faulty(&users, &["other:garbage:100%"]), &[]).with(3);
    assert!(nonsense.out.contains("✗ reachable") && nonsense.out.contains("no DocSpace portal"), "{}", nonsense.out);
    let clock_off = jiff::SignedDuration::from_hours(2);
    let skewed =
        doctor(&bench, &Sandbox::start(Config { clock_off, ..config(&users) }).expect("a portal"), &[]).with(3);
    assert!(
        skewed.out.contains("✗ clock") && skewed.out.contains("signed keys are good for an hour"),
        "{}",
        skewed.out
    );
    let down = bench.onboard(&["doctor", "--portal", "http://127.0.0.1:1", "--api-key-file", "key"]).with(3);
    assert!(down.out.contains("Connection refused"), "{}", down.out);
    let nowhere =
        bench.onboard(&["doctor", "--portal", "https://no.such.host.invalid", "--api-key-file", "key"]).with(3);
    assert!(nowhere.out.contains("✗ name"), "{}", nowhere.out);
}

#[test]
fn a_key_of_few_scopes_is_told_and_sends_nothing() {
    let bench = Bench::new();
    let users = active(20);
    bench.roster(&users);
    let scopes = vec!["accounts:read".to_owned(), "accounts:write".to_owned()];
    let portal = Sandbox::start(Config { scopes, ..config(&users) }).expect("a portal");
    let ended = bench.run(&portal, &[]).with(3);
    assert!(ended.said().contains("scope *:write"), "{}", ended.err);
    assert_eq!(messages(&portal), 0);
    assert!(portal.stats().requests["congratulation"] <= 5);
}

#[test]
fn a_portal_that_invites_nobody_costs_the_links_only() {
    let bench = Bench::new();
    let users = active(4);
    bench.roster(&users);
    let portal = Sandbox::start(Config { allow_inviting: false, ..config(&users) }).expect("a portal");
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 4);
    assert!(bench.results()[0]["detail"].contains("invitations are switched off"), "{:?}", bench.results()[0]);
}

#[test]
fn export_writes_a_roster_that_runs() {
    let bench = Bench::new();
    let mut users = active(150);
    users.extend((150..160).map(|number| User::made_up(number, 0.0)));
    for user in users.iter_mut().take(5) {
        user.registered = "2026-10-31T23:59:59.0000000+00:00".to_owned();
    }
    let portal = portal(&users);
    bench.key_of(&portal);
    let origin = portal.origin();
    let export = |more: &[&str]| {
        let mut args = vec!["export", "--portal", &origin, "--api-key-file", "key"];
        args.extend(more);
        bench.onboard(&args).with(0)
    };
    let rows = |text: &str| text.lines().count() - 1;
    assert_eq!(rows(&export(&[]).out), 160);
    assert_eq!(rows(&export(&["--pending"]).out), 10);
    assert_eq!(rows(&export(&["--active"]).out), 150);
    assert_eq!(rows(&export(&["--registered-since", "2026-11-01"]).out), 155);
    assert_eq!(rows(&export(&["--type", "Guest"]).out), 40);
    export(&["--active", "--registered-since", "2026-11-01", "-o", "users.csv"]);
    bench.onboard(&["check", "users.csv"]).with(0);
    bench.run(&portal, &[]).with(0);
    assert_eq!(messages(&portal), 145);
}

#[test]
fn invite_sends_each_address_one_invitation_and_never_two() {
    let bench = Bench::new();
    let mut users = active(3);
    users.push(User::made_up(3, 0.0));
    let portal = portal(&users);
    bench.key_of(&portal);
    bench.write(
        "people.csv",
        format!(
            "email,employee_type,name\nnew1@example.com,User,One\n{},User,There\nNEW1@example.com,User,Again\n{},User,Pending\n\
             guest@example.com,Guest,Guest\nnew2@example.com,RoomAdmin,Two\nnobody,User,Bad\n",
            users[0].email, users[3].email
        ),
    );
    let origin = portal.origin();
    let invite = |more: &[&str]| {
        let mut args = vec!["invite", "people.csv", "--portal", &origin, "--api-key-file", "key"];
        args.extend(more);
        bench.onboard(&args)
    };
    let fates = || -> Vec<String> {
        rows_of(&bench.path("people.results.csv")).into_iter().map(|row| row["invitation"].clone()).collect()
    };
    invite(&[]).with(1);
    let expected = ["invited", "already_there", "duplicate", "already_invited", "rejected", "invited", "invalid"];
    assert_eq!(fates(), expected);
    invite(&[]).with(1);
    assert_eq!(fates()[0], "already_invited");
    let stats = portal.stats();
    assert_eq!(stats.invitations.len(), 2, "{stats:?}");
    assert!(stats.invitations.values().all(|count| *count == 1));
    // Once they have joined, the results are a roster.
    let id = rows_of(&bench.path("people.results.csv"))[0]["user_id"].parse().expect("an id");
    assert!(portal.change_user(id, |user| (user.status, user.activation) = (1, 1)));
    let args = ["run", "people.results.csv", "--portal", &origin, "--api-key-file", "key", "-o", "out.csv"];
    bench.onboard(&args).with(1);
    assert_eq!(rows_of(&bench.path("out.csv"))[0]["congratulation"], "sent");
    invite(&["--resend", "--yes"]).with(1);
    assert_eq!(portal.stats().invitations["new2@example.com"], 2);
    let ended = invite(&["--resend"]).with(2);
    assert!(ended.err.contains("--yes"), "{}", ended.err);
}

#[test]
fn an_invitation_that_may_have_gone_out_is_unknown_and_not_repeated() {
    let bench = Bench::new();
    let portal = faulty(&active(1), &["invitation:cut:#1"]);
    bench.key_of(&portal);
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    let origin = portal.origin();
    let args = ["invite", "people.csv", "--portal", &origin, "--api-key-file", "key"];
    bench.onboard(&args).with(1);
    let fate = |row: usize| rows_of(&bench.path("people.results.csv"))[row]["invitation"].clone();
    assert_eq!(fate(0), "unknown");
    bench.onboard(&args);
    assert_eq!(portal.stats().invitations["new@example.com"], 1);
}

#[test]
fn a_thousand_addresses_with_what_people_get_wrong() {
    let bench = Bench::new();
    let users = active(1000);
    let mut text = "E-Mail,employee type,user_id\n".to_owned();
    for (number, user) in users.iter().enumerate() {
        let (email, id) = (user.email.as_str(), user.id.to_string());
        match number % 10 {
            0 => text.push_str(&format!("{},User,\n", email.to_uppercase())),
            1 => text.push_str(&format!("{},User,\n", email.replace('@', " at "))),
            2 => text.push_str(&format!("un{email},User,\n")),
            3 => text.push_str(&format!("{email},User,{}\n", users[number - 3].id)),
            4 => text.push_str(&format!("{email},User,{id}\n{},Guest,\n", email.to_uppercase())),
            _ => text.push_str(&format!("{email},User,{id}\n")),
        }
    }
    bench.write("users.csv", text);
    let portal = portal(&users);
    bench.run(&portal, &["--rate", "100000/s"]).with(1);
    // Of ten: an address in capitals, one that is none, one that is unknown, one of somebody else, one twice, five good.
    let outcomes = bench.outcomes();
    let told = |outcome: &str| outcomes.get(outcome).copied().unwrap_or(0);
    assert_eq!(
        [told("sent"), told("invalid"), told("failed"), told("duplicate")],
        [700, 200, 100, 100],
        "{outcomes:?}"
    );
    assert_eq!(messages(&portal), 700);
}
