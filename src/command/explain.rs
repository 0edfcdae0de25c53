//! `onboard explain`: what a reason code means.

use std::io::Write;

use anyhow::bail;

use crate::{cli::ExplainArgs, code::Code, display::Shown};

pub(super) fn execute(args: &ExplainArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let Some(name) = &args.code else {
        for code in Code::ALL {
            writeln!(out, "{:<18}  {}", code.as_str(), code.happened())?;
        }
        return Ok(0);
    };
    let Some(code) = Code::named(&name.to_lowercase().replace('-', "_")) else {
        bail!("`{}` is no reason code; `onboard explain` lists all of them", Shown(name));
    };
    writeln!(out, "{}\n", code.as_str())?;
    for (what, text) in [("happened", code.happened()), ("sent", code.sent()), ("to do", code.next())] {
        writeln!(out, "{what:<8}  {text}")?;
    }
    Ok(0)
}
