//! `onboard split`: one roster for many portals, made into one for each.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail};

use crate::{
    cli::SplitArgs,
    display::{count, shown_path},
    file::{self, write_whole},
    files::{Files, Kind},
    origin::Origin,
    roster::{Roster, Source, parts::Parts},
    split::{self, Index, Profiles, Sorted, index},
    terminal::Screen,
};

pub(super) fn execute(
    args: &SplitArgs,
    profiles: Option<&Profiles>,
    files: Files,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let folder = &args.into;
    let path = folder.join(index::NAME);
    let before = Index::read(&path)?.unwrap_or_default();
    if let Some(added) = &before.added {
        bail!(
            "{} has a column `{}` of somebody's own, which would be lost; keep it in another file. Nothing was written",
            shown_path(&path),
            crate::display::Shown(added)
        );
    }
    let roster = Roster::read_as(&args.roster, &args.reading.reading())?;
    roster.warnings_apart_from_portals().for_each(|warning| screen.say(&format!("warning: {warning}")));
    let parts = Parts::by(&roster, &args.by)?;
    let Sorted { parts: sorted, refused } = split::sort(&roster, &parts, profiles)?;
    if !refused.is_empty() {
        for why in &refused {
            screen.say(why);
        }
        bail!(
            "{} of {} cannot be given to a portal; mend what is named above. Nothing was written",
            count(u64::try_from(refused.len()).unwrap_or(u64::MAX), "row"),
            args.roster
        );
    }
    if profiles.is_none() {
        screen.say(
            "warning: no settings file with portals (`[portal.NAME]`) is in use, so that none of these addresses could be \
             compared with one; read the list",
        );
    }
    let rows: BTreeMap<Origin, u64> = sorted.iter().map(|(portal, part)| (portal.clone(), part.rows)).collect();
    let after = before.renewed(&rows, &names_in(folder)?);
    let header = parts.header();
    look(&after, &before, folder, &header, files)?;
    file::make_folder(folder)?;
    for entry in &after.entries {
        let rows = sorted.get(&entry.portal).map_or(&[][..], |part| &part.text);
        let path = folder.join(&entry.file);
        let written = write_whole(&path, |to| {
            to.write_all(&header)?;
            to.write_all(rows)
        });
        written.with_context(|| format!("{} cannot be written", shown_path(&path)))?;
    }
    // Last: what it names is there, whole, and whoever goes by it sees nothing of a split that broke off.
    write_whole(&path, |to| to.write_all(after.text().as_bytes()))
        .with_context(|| format!("the index {} cannot be written", shown_path(&path)))?;
    tell(&after, &before, &path, out)?;
    Ok(0)
}

/// The names of all files in a folder, which need not be there.
fn names_in(folder: &Path) -> Result<Vec<String>, anyhow::Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let listed =
        fs::read_dir(folder).with_context(|| format!("{} is no folder that can be listed", shown_path(folder)));
    let names = listed?.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    Ok(names.collect::<Result<_, _>>()?)
}

/// Refuses to write over anything but what `split` wrote: files of the index, and those that it wrote before it broke off.
fn look(after: &Index, before: &Index, folder: &Path, header: &[u8], files: Files) -> Result<(), anyhow::Error> {
    let mut files = files;
    for entry in &after.entries {
        let path = folder.join(&entry.file);
        if !before.knows(&entry.portal) && path.is_file() {
            let mut there = Vec::new();
            File::open(&path)?.take(u64::try_from(header.len())?).read_to_end(&mut there)?;
            if !there.is_empty() && there != header {
                bail!(
                    "{} is there, and {} does not name it, so it is not written over; move it away. Nothing was written",
                    shown_path(&path),
                    index::NAME
                );
            }
        }
        files = files.writes(&format!("the roster of {}", entry.portal), Some(&path), Kind::Part);
    }
    Ok(files.check()?)
}

/// The list, and what is new in it: a portal that nobody knows is most often a slip.
fn tell(after: &Index, before: &Index, path: &Path, out: &mut dyn Write) -> Result<(), anyhow::Error> {
    let rows: u64 = after.entries.iter().map(|entry| entry.rows).sum();
    let is_new = |portal: &Origin| !before.knows(portal);
    for entry in &after.entries {
        let new = if is_new(&entry.portal) && !before.entries.is_empty() { "  new" } else { "" };
        let rows = count(entry.rows, "row");
        writeln!(out, "{:04}  {}  {}  {rows}{new}", entry.number, entry.portal, entry.file)?;
    }
    let new = after.entries.iter().filter(|entry| is_new(&entry.portal)).count();
    let empty = after.entries.iter().filter(|entry| entry.rows == 0).count();
    let portals = u64::try_from(after.entries.len()).unwrap_or(u64::MAX);
    writeln!(
        out,
        "{} for {} ({new} new, {empty} without a row this time); the list is {}",
        count(rows, "row"),
        count(portals, "portal"),
        shown_path(path)
    )?;
    out.flush()?;
    Ok(())
}

/// The files that can be told before anything is read.
pub(super) fn files(files: Files, args: &SplitArgs) -> Files {
    let roster = match &args.roster {
        Source::Path(path) => Some(path.as_path()),
        Source::Stdin => None,
    };
    files.reads("the roster", roster).writes("the index (--into)", Some(&args.into.join(index::NAME)), Kind::Index)
}
