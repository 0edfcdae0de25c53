//! `onboard help`: of commands as clap tells it, of topics as pages, on a terminal, on a pipe and in the manual.

use onboard::help::TOPICS;

use crate::bench::Bench;

#[test]
fn help_of_commands_is_what_they_say_themselves() {
    let bench = Bench::new();
    let said = |args: &[&str]| bench.onboard(args).with(0).out;
    assert_eq!(said(&["help"]), said(&["--help"]));
    assert_eq!(said(&["help", "run"]), said(&["run", "--help"]));
    assert_eq!(said(&["help", "ledger", "init"]), said(&["ledger", "init", "--help"]));
    assert_eq!(said(&["ledger", "help", "init"]), said(&["ledger", "init", "--help"]));
    // A topic that a command hides would never be seen.
    for topic in TOPICS {
        assert!(
            said(&["help"]).contains(topic.name) && said(&["help", "help"]).contains(topic.title()),
            "{}",
            topic.name
        );
        assert!(said(&["help", topic.name]).starts_with(topic.title()), "{}", topic.name);
    }
}

#[test]
fn what_is_neither_is_told_with_what_is_like_it() {
    let bench = Bench::new();
    for (asked, near) in [
        (&["help", "selfhosted"][..], "did you mean `self-hosted`"),
        (&["help", "SELF-HOSTEDD"], "did you mean `self-hosted`"),
        (&["help", "plann"], "did you mean `plan`"),
        (&["help", "xyz"], "no topic `xyz` Topics: ci, shared-ledger"),
        (&["help", "run", "xyz"], "no topic `run xyz`"),
        (&["man", "shared-leger"], "did you mean `shared-ledger`"),
    ] {
        let ended = bench.onboard(asked).with(2);
        assert!(ended.said().contains(near), "{asked:?}: {}", ended.err);
        assert!(ended.said().contains("limits Commands: run, plan"), "{asked:?}: {}", ended.err);
        assert_eq!(ended.out, "");
    }
    bench.onboard(&["help", "CI"]).with(0);
}

#[test]
fn topics_are_pages_of_the_manual_and_offered_by_completions() {
    let bench = Bench::new();
    let first = bench.onboard(&["man"]).with(0).out;
    for topic in TOPICS {
        let name = format!("onboard\\-{}", topic.name.replace('-', "\\-"));
        let page = bench.onboard(&["man", topic.name]).with(0).out;
        assert!(page.contains(&format!(".TH {name} 7 ")), "{page}");
        assert!(first.contains(&format!("{name}\\fR(7)")), "{first}");
        for shell in ["bash", "zsh", "powershell"] {
            assert!(bench.onboard(&["completions", shell]).with(0).out.contains(topic.name), "{shell}");
        }
    }
}

/// A terminal shows bold letters and fills its lines; a pipe, and whoever wants none, gets plain text.
#[cfg(unix)]
#[test]
fn a_page_is_laid_out_for_whoever_reads_it() {
    let bench = Bench::new();
    assert!(!bench.onboard(&["help", "limits"]).with(0).out.contains('\x1b'));
    let at_terminal = |term: &str, no_colour: Option<&str>| {
        let mut command = bench.command(&["help", "limits"]);
        command
            .env("TERM", term)
            .envs(no_colour.map(|value| ("NO_COLOR", value)))
            .stdin(std::process::Stdio::inherit());
        let mut session = rexpect::session::spawn_command(command, Some(20_000)).expect("a terminal");
        session.exp_eof().expect("the end")
    };
    let seen = at_terminal("xterm-256color", None);
    assert!(seen.contains("\x1b[1;4m") && seen.contains("\x1b[1m--rate 1500/min\x1b[0m"), "{seen:?}");
    for plain in [at_terminal("xterm-256color", Some("1")), at_terminal("dumb", None)] {
        assert!(plain.contains("`--rate 1500/min`") && !plain.contains('\x1b'), "{plain:?}");
    }
}
