//! Whose portal a cell names: by its address, or by the name of its profile. Pure.

use std::path::PathBuf;

use crate::{
    display::{Shown, shown_path},
    origin::{AddressError, Origin, PortalAddress},
};

/// A portal of the settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its portal, where it gives one that can be used.
    pub portal: Option<Origin>,
}

/// All of them; there is at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    /// The settings file.
    pub file: PathBuf,
    /// In the file's order.
    pub all: Vec<Profile>,
}

impl Profiles {
    /// Those of a portal, by their names.
    pub fn of<'p>(&'p self, portal: &'p Origin) -> impl Iterator<Item = &'p str> {
        self.all.iter().filter(move |profile| profile.portal.as_ref() == Some(portal)).map(|profile| &*profile.name)
    }

    /// The one of this name, as people write names.
    fn named(&self, name: &str) -> Option<&Profile> {
        let exact = self.all.iter().find(|profile| profile.name == name);
        let mut alike = self.all.iter().filter(|profile| profile.name.to_lowercase() == name.to_lowercase());
        exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))
    }

    /// The one portal of this host (and port), as people write addresses without their scheme.
    fn at(&self, place: &str) -> Option<&Origin> {
        let place = place.trim_end_matches('/').to_lowercase();
        let is_there = |origin: &&Origin| origin.as_str().split_once("://").is_some_and(|(_, rest)| rest == place);
        let mut found = self.all.iter().filter_map(|profile| profile.portal.as_ref()).filter(is_there);
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }
}

/// The portal that a cell names; or why it names none, as the end of a sentence.
pub(super) fn whose(cell: &str, profiles: Option<&Profiles>) -> Result<Origin, String> {
    let cell = cell.trim();
    if cell.is_empty() {
        return Err("no portal is given".to_owned());
    }
    let Some(profiles) = profiles else {
        return cell.parse::<PortalAddress>().map(|address| address.origin()).map_err(|why| why.to_string());
    };
    let file = shown_path(&profiles.file);
    if let Some(profile) = profiles.named(cell) {
        return profile.portal.clone().ok_or_else(|| {
            format!("the profile `{}` of the settings file {file} has no address (`url`); add it", Shown(cell))
        });
    }
    match cell.parse::<PortalAddress>() {
        Ok(address) => {
            let origin = address.origin();
            let is_known = profiles.of(&origin).next().is_some();
            is_known.then(|| origin.clone()).ok_or_else(|| {
                format!("{origin} is the portal of no profile in {file}; add one there, or mend the cell")
            })
        }
        Err(AddressError::NoScheme(bare)) => profiles
            .at(&bare)
            .cloned()
            .ok_or_else(|| format!("`{}` is neither a profile in {file} nor the address of one's portal", Shown(cell))),
        Err(why) => Err(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(all: &[(&str, &str)]) -> Profiles {
        let profile = |(name, portal): &(&str, &str)| Profile { name: (*name).to_owned(), portal: portal.parse().ok() };
        Profiles { file: "onboard.toml".into(), all: all.iter().map(profile).collect() }
    }

    #[test]
    fn a_portal_is_known_by_its_address_or_its_profile() {
        let known = profiles(&[
            ("acme", "https://Acme.example"),
            ("bolt", "https://bolt.example:8443"),
            ("empty", ""),
            ("x", "https://x.example"),
            ("X", "https://x.example"),
        ]);
        let whose = |cell: &str| whose(cell, Some(&known)).map(|origin| origin.as_str().to_owned());
        let acme = Ok("https://acme.example".to_owned());
        for cell in
            ["acme", " ACME ", "https://ACME.example/", "https://acme.example:443", "acme.example", "Acme.example/"]
        {
            assert_eq!(whose(cell), acme, "{cell}");
        }
        assert_eq!(whose("bolt.example:8443"), Ok("https://bolt.example:8443".into()));
        for (cell, why) in [
            ("", "no portal is given"),
            ("  ", "no portal is given"),
            ("empty", "the profile `empty` of the settings file onboard.toml has no address"),
            ("https://bolt.example", "https://bolt.example is the portal of no profile in onboard.toml"),
            ("bolt.example", "`bolt.example` is neither a profile in onboard.toml nor"),
            ("http://acme.example", "the key would travel in the clear"),
            ("https://acme.example/rooms", "give only the portal's address"),
            ("ftp://acme.example", "`ftp:` is not how a portal is reached"),
        ] {
            let told = whose(cell).expect_err(cell);
            assert!(told.starts_with(why), "{cell}: {told}");
        }
        assert_eq!(whose("x"), Ok("https://x.example".into()));
    }

    #[test]
    fn without_profiles_an_address_is_what_it_says() {
        assert_eq!(whose("HTTPS://a.example/", None).map(|origin| origin.to_string()), Ok("https://a.example".into()));
        assert!(whose("a.example", None).is_err_and(|why| why.contains("try https://a.example")));
        assert!(whose("acme", None).is_err());
    }
}
