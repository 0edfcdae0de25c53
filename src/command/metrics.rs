//! The metrics of a run (`--metrics`): its figures, and what the ledger knows of the runs before it.

use std::path::Path;

use crate::{
    attempt::Mail,
    exit::Exit,
    file::write_whole_for_all,
    ledger::{Ledger, RunRecord, places},
    origin::{Origin, PortalAddress},
    place::{self, Place},
    report::{Metrics, Summary},
    settings::Settings,
};

/// Writes them, whole. Where the ledger cannot be read the old ones stay: they go on to age, as they should, while a success
/// that is not told would look like one that nobody waits for.
pub(super) fn write(
    path: &Path,
    settings: &Settings,
    exit: Exit,
    summary: Option<&Summary>,
) -> Result<(), anyhow::Error> {
    let origin = match &settings.portal.address {
        _ if settings.sandbox => Origin::of_sandbox(),
        Some(address) => PortalAddress::origin(address),
        None => anyhow::bail!("it is not known of which portal they are"),
    };
    let (host, port) = origin.host_and_port();
    let portal = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let known = ledger(settings, &origin)?.map(|ledger| known(settings, &origin, &ledger)).transpose()?;
    let known = known.unwrap_or_default();
    let metrics = Metrics {
        portal: &portal,
        mail: settings.mail,
        exit,
        summary,
        last_start: known.last_start,
        last_success: known.last_success,
        undecided: known.undecided,
    };
    Ok(write_whole_for_all(path, |out| out.write_all(metrics.text().as_bytes()))?)
}

/// The ledger for looking; none where there is none, or none yet.
fn ledger(settings: &Settings, origin: &Origin) -> Result<Option<Ledger>, anyhow::Error> {
    let given = &settings.ledger;
    if settings.sandbox && !(given.typed && given.place.is_some()) {
        return Ok(None);
    }
    let place = place::place(given.place.as_deref(), Some(origin))?;
    match &place {
        Place::File(path) if !path.exists() => Ok(None),
        place => Ok(Some(places::look(place, &given.environment, |_| {})?)),
    }
}

/// What the ledger knows of this mail to this portal.
#[derive(Debug, Default)]
struct Known {
    last_start: Option<jiff::Timestamp>,
    last_success: Option<jiff::Timestamp>,
    undecided: Option<u64>,
}

fn known(settings: &Settings, origin: &Origin, ledger: &Ledger) -> Result<Known, anyhow::Error> {
    let is_here = |portal: &str| {
        portal == origin.as_str() || settings.ledger.formerly.iter().any(|other| other.as_str() == portal)
    };
    let mut runs = ledger.runs()?;
    runs.retain(|run| is_here(&run.portal) && (run.command == "invite") == (settings.mail == Mail::Invitation));
    let mut undecided = ledger.undecided()?;
    undecided.retain(|attempt| is_here(&attempt.portal) && attempt.mail == settings.mail.noun());
    Ok(Known {
        last_start: runs.iter().map(|run| run.started_at).max(),
        last_success: runs.iter().filter_map(RunRecord::ended_well).max(),
        undecided: u64::try_from(undecided.len()).ok(),
    })
}
