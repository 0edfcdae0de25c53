//! What a server offers, as its answer to EHLO says.

use super::reply::Reply;

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offers {
    /// Whether the connection can be encrypted from here on.
    pub starttls: bool,
    /// Whether text beyond ASCII is taken.
    pub eight_bit: bool,
    /// Whether addresses beyond ASCII are taken.
    pub utf8: bool,
    /// Whether it takes SIZE, and the largest mail in bytes where it says.
    pub size: Option<Option<u64>>,
    /// The ways to log in.
    pub logins: Vec<String>,
}

impl Offers {
    /// As its answer to EHLO says.
    pub fn read(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines.iter().skip(1) {
            // `AUTH=PLAIN` is how it was written before there was a standard.
            let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => offers.starttls = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.utf8 = true,
                Some("SIZE") => {
                    let most = words.next().and_then(|word| word.parse().ok());
                    offers.size = Some(most.filter(|most| *most > 0));
                }
                Some("AUTH") => {
                    for way in words {
                        if !offers.logins.contains(&way) {
                            offers.logins.push(way);
                        }
                    }
                }
                Some(_) | None => {}
            }
        }
        offers
    }

    /// Whether this way to log in is offered.
    pub fn logs_in_by(&self, way: &str) -> bool {
        self.logins.iter().any(|offered| offered == way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case_and_in_the_old_spelling() {
        let lines = ["mail.example AUTH", "size 1000", "8bitmime", "AUTH=LOGIN", "AUTH PLAIN login", "STARTTLS", "X-Y"];
        let offers = Offers::read(&Reply { code: 250, lines: lines.map(str::to_owned).to_vec() });
        assert!(offers.starttls && offers.eight_bit && !offers.utf8);
        assert_eq!(offers.size, Some(Some(1000)));
        assert_eq!(offers.logins, ["LOGIN", "PLAIN"]);
        let bare = Offers::read(&Reply { code: 250, lines: vec!["mail.example".to_owned(), "SIZE 0".to_owned()] });
        assert_eq!(bare, Offers { size: Some(None), ..Offers::default() });
    }
}
