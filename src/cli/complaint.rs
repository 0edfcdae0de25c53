//! What clap says of a command line that cannot be used, without the secrets that were typed by mistake: its own
//! texts quote the value, and an address may hold a password.

use clap::error::{ContextKind, ContextValue};

use crate::secret;

/// The text of an error without its secrets, where it holds any; help and version hold none.
pub fn without_secrets(error: &clap::Error) -> Option<String> {
    if !error.use_stderr() {
        return None;
    }
    let said = error.render().to_string();
    let given = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let option = given(ContextKind::InvalidArg);
    let is_address = option.ends_with("<URL>") || option.ends_with("<ORIGIN>");
    let mut text = said.clone();
    if option.ends_with("<TARGET>") {
        // It may be a webhook's address, which is a credential as a whole.
        let value = given(ContextKind::InvalidValue);
        text = text.replace(&format!("'{value}'"), &format!("'{}'", secret::REDACTED));
    }
    for (value, is_address) in [
        (given(ContextKind::InvalidValue), is_address),
        (option, false),
        (given(ContextKind::InvalidSubcommand), false),
    ] {
        let shown = if is_address { secret::masked_address(value) } else { secret::masked_value(value) };
        if shown != value {
            text = text.replace(value, &shown);
        }
    }
    text = secret::masked_text(&text);
    (text != said).then_some(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn what_was_given_by_mistake_is_not_told_back() {
        for secret in ["SECRETPW", "sk-0123456789abcdef", "Zm9vYmFyMTIzNDU2Nzg5MGFi"] {
            for args in [
                vec!["run", "r.csv", "--portal", "https://admin:{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "https://{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "https://admin:{}@por tal.example.com"],
                vec!["run", "r.csv", "--portal", "https://admin:a/{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "https:/admin:{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "ftp://admin:{}@portal.example.com"],
                vec!["run", "r.csv", "--portal", "https://portal.example.com/?key={}"],
                vec!["run", "r.csv", "--portal", "https://portal.example.com/#{}"],
                vec!["run", "r.csv", "--portal", "https://portal.example.com/hooks/{}"],
                vec!["run", "r.csv", "--formerly", "http://a:{}@old.example.com"],
                vec!["run", "r.csv", "--proxy", "u:{}@:proxy"],
                vec!["run", "r.csv", "--proxy", "socks5://u:{}@proxy:1"],
                vec!["run", "r.csv", "--proxy", "http://u:{}@proxy:port"],
                vec!["run", "r.csv", "--notify", "https://hooks.example.com/{}"],
                vec!["run", "r.csv", "--notify", "@https://hooks.example.com/{}"],
                vec!["run", "r.csv", "--notify", "hooks.example.com/{}"],
                vec!["invite", "r.csv", "--notify=mailto:{}"],
                vec!["history", "--portal", "https://admin:{}@portal.example.com"],
            ] {
                let args: Vec<String> = args.iter().map(|arg| arg.replace("{}", secret)).collect();
                let error = Cli::command()
                    .try_get_matches_from([&["onboard".to_owned()][..], &args].concat())
                    .expect_err("refused");
                let text = without_secrets(&error).unwrap_or_else(|| error.render().to_string());
                assert!(!text.contains(secret), "{args:?}: {text}");
                assert!(
                    ["--portal", "--formerly", "--proxy", "--notify"].iter().any(|name| text.contains(name)),
                    "{text}"
                );
            }
        }
        for args in [
            &["run", "r.csv", "sk-0123456789abcdef"][..],
            &["sk-0123456789abcdef"],
            &["run", "--api-key=sk-0123456789abcdef", "r.csv"],
        ] {
            let error = Cli::command().try_get_matches_from([&["onboard"][..], args].concat()).expect_err("refused");
            let text = without_secrets(&error).unwrap_or_else(|| error.render().to_string());
            assert!(!text.contains("0123456789abcdef"), "{args:?}: {text}");
        }
    }

    #[test]
    fn what_holds_no_secret_is_told_as_it_was_given() {
        for args in
            [&["run", "r.csv", "--portal", "portal.example.com"][..], &["runn"], &["run", "r.csv", "--rate", "fast"]]
        {
            let error = Cli::command().try_get_matches_from([&["onboard"][..], args].concat()).expect_err("refused");
            assert_eq!(without_secrets(&error), None, "{args:?}");
        }
    }
}
