//! Files that are there whole or not at all.
//!
//! A file is written beside its place and moved there when it is whole, so that no reader sees half of it. Only its owner
//! can read it. Whether it can be written is looked at before the first request.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use crate::display::Shown;

/// More links than this, one after another, lead nowhere.
const MOST_LINKS: usize = 40;

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    Path(PathBuf),
}

/// Why nothing can be written to a place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The place is a folder.
    #[error("nothing can be written to {}: it is a directory", shown(.0))]
    Directory(PathBuf),
    /// It cannot be written there.
    #[error("{} cannot be written: {source}", shown(path))]
    Unwritable {
        /// The place.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a file of another kind.
    #[error("{} is there and is no results file of onboard; name another with -o, or move it away", shown(.0))]
    Foreign(PathBuf),
    /// There is one of ours in which somebody has changed columns.
    #[error(
        "{} is there and looks like results of onboard whose columns were changed; name another file with -o, or move \
         it away",
        shown(.0)
    )]
    Changed(PathBuf),
    /// It is to be a folder with nothing in it, and something is there.
    #[error("{} is there and is not an empty folder; name another one, or move it away", shown(.0))]
    NotEmpty(PathBuf),
    /// The roster would be overwritten.
    #[error("the results would overwrite the roster {}; name another file with -o", shown(.0))]
    IsRoster(PathBuf),
}

fn shown(path: &Path) -> String {
    Shown(&path.to_string_lossy()).to_string()
}

/// Makes sure, before the first request, that a table can be written there: the place is free, or what is there is
/// one of ours, which has these columns. The roster itself is replaced only where it is one of those.
pub fn probe(target: &Target, roster: Option<&Path>, roster_is_ours: bool, columns: &[&str]) -> Result<(), PlaceError> {
    let Target::Path(path) = target else { return Ok(()) };
    if path.is_dir() {
        return Err(PlaceError::Directory(path.clone()));
    }
    let real = real_path(path);
    let overwrites = roster.is_some_and(|roster| {
        fs::canonicalize(roster).ok().zip(fs::canonicalize(&real).ok()).is_some_and(|(one, other)| one == other)
    });
    if overwrites && !roster_is_ours {
        return Err(PlaceError::IsRoster(path.clone()));
    }
    if !overwrites {
        match there(&real, columns) {
            There::Ours => {}
            There::Changed => return Err(PlaceError::Changed(path.clone())),
            There::Foreign => return Err(PlaceError::Foreign(path.clone())),
        }
    }
    can_be_written(&real).map_err(|source| PlaceError::Unwritable { path: path.clone(), source })
}

/// Whether a table with all of these columns stands there.
pub fn has_columns(path: &Path, columns: &[&str]) -> bool {
    fs::metadata(path).is_ok_and(|there| there.len() > 0) && there(&real_path(path), columns) == There::Ours
}

/// Makes sure, before the first request, that a file can be written there.
pub fn probe_place(path: &Path) -> Result<(), PlaceError> {
    if path.is_dir() {
        return Err(PlaceError::Directory(path.to_owned()));
    }
    if is_no_file(path) {
        return Ok(());
    }
    can_be_written(&real_path(path)).map_err(|source| PlaceError::Unwritable { path: path.to_owned(), source })
}

/// Makes sure, before the first request, that a folder can be made there, or that an empty one is there: so files that
/// are written into it replace none, and stand beside no others.
pub fn probe_new_folder(path: &Path) -> Result<(), PlaceError> {
    let unwritable = |source| PlaceError::Unwritable { path: path.to_owned(), source };
    let entries = fs::read_dir(path).map(|mut entries| entries.next().is_none());
    match entries {
        Ok(true) => temporary_beside(&path.join("x")).map(drop).map_err(unwritable),
        Err(source) if path.is_dir() => Err(unwritable(source)),
        Ok(false) => Err(PlaceError::NotEmpty(path.to_owned())),
        Err(_) if fs::symlink_metadata(path).is_ok() => Err(PlaceError::NotEmpty(path.to_owned())),
        Err(_) => can_be_written(&absolute(path)).map_err(unwritable),
    }
}

/// Makes a folder that only its owner can look into, or takes the empty one that is there, as it is: files are readable
/// by their owner only in any case.
pub fn new_folder(path: &Path) -> Result<(), PlaceError> {
    probe_new_folder(path)?;
    if path.is_dir() {
        return Ok(());
    }
    owners_folder(path, false)
}

/// Makes a folder, and what lies above it, that only its owner can look into; one that is there stays as it is.
pub fn make_folder(path: &Path) -> Result<(), PlaceError> {
    if path.is_dir() {
        return Ok(());
    }
    owners_folder(path, true)
}

fn owners_folder(path: &Path, with_those_above: bool) -> Result<(), PlaceError> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(with_those_above);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(absolute(path)).map_err(|source| PlaceError::Unwritable { path: path.to_owned(), source })
}

/// The path from the root, without a `/` at its end.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).map_or_else(|_unusable| path.to_owned(), |path| path.components().collect())
}

/// A file can be made beside it, which is what writing it will need, and a file can have its name: one that is too long
/// for the disk would be refused only when everything is sent.
fn can_be_written(real: &Path) -> io::Result<()> {
    match fs::symlink_metadata(real) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(_) if is_mount_point(real) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "it is itself a mount point, where no new file can be put; mount the folder that it lies in",
        )),
        Ok(_) | Err(_) => temporary_beside(real).map(drop),
    }
}

/// Reads a file that is small by its nature. What is larger, or never ends, is another one.
pub fn read_small(path: &Path, at_most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(at_most + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > at_most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {at_most} bytes, so it is another file"),
        ));
    }
    Ok(bytes)
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Nothing, an empty file, or a table with all of our columns.
    Ours,
    /// A table with most of them.
    Changed,
    /// Anything else. Devices and pipes are written through a file's place only.
    Foreign,
}

fn there(path: &Path, columns: &[&str]) -> There {
    let Ok(file) = File::open(path) else {
        return if path.exists() { There::Foreign } else { There::Ours };
    };
    if !path.is_file() {
        return There::Foreign;
    }
    let mut head = Vec::new();
    if file.take(HEAD).read_to_end(&mut head).is_err() {
        return There::Foreign;
    }
    known_by(&head, columns)
}

/// So much of a file is looked at, in bytes.
const HEAD: u64 = 8 << 10;

/// Knows a table by the names in its first line, whatever a spreadsheet has since made of it: another separator or
/// encoding, quotes, a line that names the separator, other columns beside ours.
fn known_by(head: &[u8], columns: &[&str]) -> There {
    if head.is_empty() {
        return There::Ours;
    }
    // All names are ASCII: what an encoding puts around their letters can go.
    let text: String =
        head.iter().filter(|byte| byte.is_ascii() && **byte != 0).map(|byte| char::from(*byte)).collect();
    let is_named =
        |line: &&str| line.trim_start_matches('"').get(..4).is_some_and(|word| word.eq_ignore_ascii_case("sep="));
    let mut lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).skip_while(is_named);
    let names: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split([',', ';', '\t', '|'])
        .map(|name| name.trim_matches(['"', ' ']))
        .collect();
    match columns.iter().filter(|column| names.contains(column)).count() {
        all if all == columns.len() => There::Ours,
        most if most * 3 >= columns.len() * 2 => There::Changed,
        _ => There::Foreign,
    }
}

/// A pipe, a terminal, a device: nothing can be put in its place, and what is written to it goes through it.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Where a symbolic link leads, so that the link stays one, also where nothing is there yet.
fn real_path(path: &Path) -> PathBuf {
    if path.is_symlink() { real(path) } else { fs::canonicalize(path).unwrap_or_else(|_not_there| path.to_owned()) }
}

/// A file beside a path, readable by its owner only, under a name that nobody else has.
fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".onboard-").suffix(".tmp").tempfile_in(folder)
}

/// Writes a file so that it is there whole or not at all; readable by its owner only. What is no file, as a pipe, is
/// written through.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_for(false, path, write)
}

/// As [`write_whole`], readable by everybody: what holds nobody's data is read by other users' programs.
pub fn write_whole_for_all(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_for(true, path, write)
}

fn write_for(all: bool, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if is_no_file(path) {
        let mut through = BufWriter::new(fs::OpenOptions::new().write(true).open(path)?);
        write(&mut through)?;
        return through.flush();
    }
    let real = real_path(path);
    let mut file = BufWriter::new(temporary_beside(&real)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    #[cfg(unix)]
    if all {
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = all;
    file.as_file().sync_all()?;
    file.persist(&real).map_err(|error| error.error)?;
    // The move is lasting only when the folder is written.
    #[cfg(unix)]
    if let Some(folder) = real.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The path without links, `.` and `..`, also of a file that is not there yet: a link may lead to what will be.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if let Ok(real) = fs::canonicalize(&path) {
            return real;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match (fs::read_link(&path), path.file_name()) {
            (Ok(target), _) => path = folder.join(target),
            (Err(_), Some(name)) => {
                // The folder may not be there either, as a ledger's at first.
                let folder = if folder == Path::new("/") { folder.to_owned() } else { real(folder) };
                return folder.join(name);
            }
            (Err(_), None) => break,
        }
    }
    std::path::absolute(&path).unwrap_or(path)
}

/// Whether a file, by its real path, is mounted there itself, as `docker -v file:file` does it: it can be written, but
/// nothing can be put in its place, and what lies beside it is elsewhere.
#[cfg(unix)]
pub(crate) fn is_mount_point(path: &Path) -> bool {
    use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    let other_device = path.parent().and_then(device).zip(device(path)).is_some_and(|(folder, file)| folder != file);
    // A file that is mounted from the folder's own device is told by the kernel alone; where it does not, by nobody.
    other_device
        || fs::read("/proc/self/mountinfo").is_ok_and(|mounts| is_mounted(&mounts, path.as_os_str().as_bytes()))
}

/// Nowhere else are files mounted.
#[cfg(not(unix))]
pub(crate) fn is_mount_point(_: &Path) -> bool {
    false
}

/// Whether the kernel's list of mounts has this place: the fifth word of a line, with blanks and the like as `\040`.
#[cfg(unix)]
fn is_mounted(mounts: &[u8], path: &[u8]) -> bool {
    let places = mounts.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    places.map(unescaped).any(|place| place == path)
}

#[cfg(unix)]
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { more.get(3..).unwrap_or_default() } else { more };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_them_and_a_link_stays_a_link() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").expect("written");
        std::os::unix::fs::symlink(&real, &link).expect("linked");
        write_whole(&link, |out| out.write_all(b"new")).expect("written");
        assert!(link.is_symlink());
        assert_eq!(fs::read(&real).expect("read"), b"new");
        assert_eq!(fs::metadata(&real).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_what_is_not_there_yet_leads_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink("2026-11.csv", at("latest.csv")).expect("linked");
        std::os::unix::fs::symlink("nowhere/2026-11.csv", at("lost.csv")).expect("linked");
        probe_place(&at("latest.csv")).expect("a place");
        write_whole(&at("latest.csv"), |out| out.write_all(b"new")).expect("written");
        assert!(at("latest.csv").is_symlink());
        assert_eq!(fs::read(at("2026-11.csv")).expect("read"), b"new");
        assert!(matches!(probe_place(&at("lost.csv")), Err(PlaceError::Unwritable { .. })));
    }

    #[test]
    fn a_name_that_no_file_can_have_is_found_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("n".repeat(300));
        assert!(matches!(probe_place(&path), Err(PlaceError::Unwritable { .. })));
        let probed = probe(&Target::Path(path), None, false, &["row"]);
        assert!(matches!(probed, Err(PlaceError::Unwritable { .. })), "{probed:?}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_is_new_or_empty_and_its_owners_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let new = at("mails/");
        probe_new_folder(&new).expect("a place");
        assert!(!new.exists(), "nothing is made yet");
        new_folder(&new).expect("made");
        assert_eq!(fs::metadata(&new).expect("there").permissions().mode() & 0o777, 0o700);
        new_folder(&new).expect("still empty");
        assert_eq!(fs::read_dir(&new).expect("listed").count(), 0);
        write_whole(&new.join("1.eml"), |out| out.write_all(b"x")).expect("written");
        assert_eq!(fs::metadata(new.join("1.eml")).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(at("file"), "x").expect("written");
        std::os::unix::fs::symlink("nowhere", at("link")).expect("linked");
        for taken in [new, at("file"), at("link")] {
            assert!(matches!(probe_new_folder(&taken), Err(PlaceError::NotEmpty(_))), "{}", taken.display());
            assert!(matches!(new_folder(&taken), Err(PlaceError::NotEmpty(_))), "{}", taken.display());
        }
        for lost in [at("nowhere/mails"), at("file/mails"), at(&"n".repeat(300))] {
            assert!(matches!(new_folder(&lost), Err(PlaceError::Unwritable { .. })), "{}", lost.display());
        }
        let told = probe_new_folder(&at("file")).expect_err("taken").to_string();
        assert!(
            told.ends_with("file is there and is not an empty folder; name another one, or move it away"),
            "{told}"
        );
    }

    #[test]
    fn no_more_of_a_file_is_read_than_it_should_hold() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        fs::write(&path, "12345").expect("written");
        assert_eq!(read_small(&path, 5).expect("read"), b"12345");
        assert_eq!(read_small(&path, 4).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
        if cfg!(unix) {
            assert_eq!(
                read_small(Path::new("/dev/zero"), 1000).expect_err("too large").kind(),
                io::ErrorKind::FileTooLarge
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_kernels_list_of_mounts_is_read_as_it_is_written() {
        let mounts = b"36 35 98:0 / / rw,noatime - ext4 /dev/root rw\n\
                       40 36 98:0 /srv/l.db /data/my\\040ledger.db rw - ext4 /dev/root rw\n\
                       41 36 98:0 /a\\134b /odd/a\\134b rw - ext4 /dev/root rw\n";
        for mounted in ["/data/my ledger.db", "/odd/a\\b", "/"] {
            assert!(is_mounted(mounts, mounted.as_bytes()), "{mounted}");
        }
        for other in ["/data/my\\040ledger.db", "/data/my", "/srv/l.db", "/data/my ledger.db2", ""] {
            assert!(!is_mounted(mounts, other.as_bytes()), "{other}");
        }
    }
}
