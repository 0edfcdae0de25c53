//! `onboard export`: a roster from the portal's user listing.

use std::io::Write;

use anyhow::Context;

use super::portal_fault::portal_fault;
use crate::{
    access,
    cli::ExportArgs,
    display::{count, shown_path},
    file::{Target, write_whole},
    inquiry::{Everybody, Inquiry},
    portal::{Person, PersonStatus, Wanted},
    sheet::neutralise,
    terminal::Screen,
};

pub(super) fn execute(args: &ExportArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let entry = access::entry(&args.portal.settings(), false)?;
    for remark in &entry.remarks {
        screen.say(&format!("warning: {remark}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut inquiry = Inquiry::new(args.limits.limits(), &[], 5, 1);
    // The portal filters by one status itself, which spares pages.
    let status = match (args.active, args.pending) {
        (true, false) => Some(PersonStatus::Enabled),
        (false, true) => Some(PersonStatus::Pending),
        _ => None,
    };
    let listed = runtime.block_on(inquiry.everybody(&entry.portal, Wanted::Everything { status }));
    let Everybody { people, unreadable } = match listed {
        Ok(everybody) => everybody,
        Err(fault) => return Ok(portal_fault(screen, &entry.address, &fault)),
    };
    let wanted: Vec<&Person> = people.iter().filter(|person| is_wanted(args, person)).collect();
    match args.output.as_ref().map(|target| &target.0) {
        Some(Target::Path(path)) => write_whole(path, |out| roster(&wanted, out))
            .with_context(|| format!("the roster cannot be written to {}", shown_path(path)))?,
        Some(Target::Stdout) | None => roster(&wanted, out)?,
    }
    screen.say(&format!("{} of {} users", wanted.len(), people.len()));
    if unreadable > 0 {
        let accounts = count(u64::try_from(unreadable).unwrap_or(u64::MAX), "account");
        screen.say(&format!("warning: {accounts} of the listing cannot be read and will be missing from the roster"));
    }
    Ok(0)
}

fn is_wanted(args: &ExportArgs, person: &Person) -> bool {
    let by_state = match (args.active, args.pending) {
        (false, false) => true,
        (active, pending) => (active && person.is_due()) || (pending && person.is_pending()),
    };
    // A date in the portal's own zone, as it stands in the entry.
    let registered = person.registered.get(..10).and_then(|date| date.parse::<jiff::civil::Date>().ok());
    let since = args.registered_since.is_none_or(|since| registered.is_some_and(|date| date >= since));
    by_state && since && (args.employee_type.is_empty() || args.employee_type.contains(&person.role))
}

fn roster(people: &[&Person], out: &mut dyn Write) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["user_id", "employee_type", "email", "name", "registered"])?;
    for person in people {
        // Defused it would be another address; the id says who it is.
        let email = person.email.as_ref().map_or("", |email| email.as_str());
        let email = if neutralise(email) == email { email } else { "" };
        writer.write_record([
            &*person.id.to_string(),
            person.role.as_str(),
            email,
            &neutralise(&person.name),
            &neutralise(&person.registered),
        ])?;
    }
    writer.flush()
}
