//! One mail: MAIL, RCPT, DATA, its text, and the final dot. Fed replies, it says what to say next, and always knows whether
//! the dot left. Pure.

use super::{
    fault::{Break, Fault, Step},
    letter::{Envelope, Letter},
    offers::Offers,
    reply::Reply,
};

/// The final dot: the letter before it ends with a line's end.
pub const DOT: &[u8] = b".\r\n";

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Say this, and hear the answer.
    Say(Vec<u8>),
    /// Let the letter leave; then, if it still may, the final dot, of which [`Transaction::dot_leaves`] is told before.
    Text,
    /// It is over, and well.
    Done,
}

/// A mail on its way.
#[derive(Debug)]
pub struct Transaction {
    step: Step,
    to: String,
    /// Whether it ends once the recipient was taken: nothing is to be sent.
    only_looks: bool,
}

impl Transaction {
    /// Begins with a mail; what is to be said first.
    pub fn begin(offers: &Offers, envelope: &Envelope, letter: &Letter) -> Result<(Self, Vec<u8>), Fault> {
        let impossible = |why: String| Err(Fault::Impossible { why });
        if let Some(Some(most)) = offers.size
            && u64::try_from(letter.size()).is_ok_and(|size| size > most)
        {
            return impossible(format!("it has {} bytes, and the server takes {most} at the most", letter.size()));
        }
        if letter.is_eight_bit() && !offers.eight_bit {
            return impossible("it holds text beyond ASCII, which the server does not take (8BITMIME)".to_owned());
        }
        let (mut transaction, mut first) = Self::announce(offers, envelope)?;
        transaction.only_looks = false;
        if offers.size.is_some() {
            first = format!("{first} SIZE={}", letter.size());
        }
        if letter.is_eight_bit() {
            first.push_str(" BODY=8BITMIME");
        }
        Ok((transaction, (first + "\r\n").into_bytes()))
    }

    /// Begins only to see whether sender and recipient are taken.
    pub fn look(offers: &Offers, envelope: &Envelope) -> Result<(Self, Vec<u8>), Fault> {
        let (transaction, first) = Self::announce(offers, envelope)?;
        Ok((transaction, (first + "\r\n").into_bytes()))
    }

    fn announce(offers: &Offers, envelope: &Envelope) -> Result<(Self, String), Fault> {
        let utf8 = envelope.needs_utf8();
        if utf8 && !offers.utf8 {
            let why =
                "an address of it holds letters beyond ASCII before the @, which the server does not take (SMTPUTF8)";
            return Err(Fault::Impossible { why: why.to_owned() });
        }
        let first = format!("MAIL FROM:<{}>{}", envelope.from.wire(), if utf8 { " SMTPUTF8" } else { "" });
        let to = envelope.to.wire().to_owned();
        Ok((Self { step: Step::Sender, to, only_looks: true }, first))
    }

    /// Where it stands.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The server answered.
    pub fn heard(&mut self, reply: &Reply) -> Result<Next, Fault> {
        let next = match (self.step, reply.code) {
            (Step::Sender, 200..=299) => {
                self.step = Step::Recipient;
                Next::Say(format!("RCPT TO:<{}>\r\n", self.to).into_bytes())
            }
            (Step::Recipient, 200..=299) if self.only_looks => Next::Done,
            (Step::Recipient, 200..=299) => {
                self.step = Step::Data;
                Next::Say(b"DATA\r\n".to_vec())
            }
            (Step::Data, 354) => {
                self.step = Step::Text;
                Next::Text
            }
            // Nothing else says that the server answers for the mail from here on (RFC 5321 §4.2.5).
            (Step::Dot, 250) => Next::Done,
            (step, _) => return Err(Fault::of_reply(step, reply)),
        };
        Ok(next)
    }

    /// The dot is about to leave: from here on only the server's answer tells.
    pub fn dot_leaves(&mut self) {
        self.step = Step::Dot;
    }

    /// The conversation ended early.
    pub fn broke(&self, how: &Break) -> Fault {
        Fault::of_break(self.step, how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(from: &str, to: &str) -> Envelope {
        Envelope { from: from.parse().expect(from), to: to.parse().expect(to) }
    }

    fn letter(text: &str) -> Letter {
        Letter::new(text.as_bytes()).expect("a letter")
    }

    fn reply(code: u16) -> Reply {
        Reply { code, lines: vec![String::new()] }
    }

    fn first(offers: &Offers, envelope: &Envelope, letter: &Letter) -> Result<String, Fault> {
        Transaction::begin(offers, envelope, letter).map(|(_, first)| String::from_utf8(first).expect("text"))
    }

    #[test]
    fn a_mail_goes_step_by_step_and_only_250_to_its_dot_is_its_end() {
        let (mut mail, first) =
            Transaction::begin(&Offers::default(), &envelope("it@a.example", "anna@b.example"), &letter("x"))
                .expect("it");
        assert_eq!(first, b"MAIL FROM:<it@a.example>\r\n");
        assert_eq!(mail.heard(&reply(250)), Ok(Next::Say(b"RCPT TO:<anna@b.example>\r\n".to_vec())));
        assert_eq!(mail.heard(&reply(251)), Ok(Next::Say(b"DATA\r\n".to_vec())));
        assert_eq!(mail.heard(&reply(354)), Ok(Next::Text));
        assert!(matches!(mail.broke(&Break::Closed), Fault::NotSent { for_good: false, .. }));
        mail.dot_leaves();
        assert_eq!(mail.broke(&Break::Closed), Fault::Lost(crate::smtp::fault::Loss::Broke));
        assert!(matches!(mail.heard(&reply(251)), Err(Fault::Strange { .. })));
        assert_eq!(mail.heard(&reply(250)), Ok(Next::Done));
    }

    #[test]
    fn whoever_only_looks_never_comes_to_the_data() {
        let (mut mail, _) =
            Transaction::look(&Offers::default(), &envelope("it@a.example", "it@a.example")).expect("it");
        mail.heard(&reply(250)).expect("RCPT");
        assert_eq!(mail.heard(&reply(250)), Ok(Next::Done));
    }

    #[test]
    fn what_is_not_needed_is_not_asked_for_and_what_is_needed_has_to_be_offered() {
        let all = Offers { eight_bit: true, utf8: true, size: Some(Some(10)), ..Offers::default() };
        let none = Offers::default();
        let plain = envelope("it@a.example", "anna@b\u{fc}cher.example");
        let odd = envelope("it@a.example", "ann\u{e4}@b.example");
        assert_eq!(first(&all, &plain, &letter("x")), Ok("MAIL FROM:<it@a.example> SIZE=3\r\n".to_owned()));
        assert_eq!(first(&none, &plain, &letter("x")), Ok("MAIL FROM:<it@a.example>\r\n".to_owned()));
        assert_eq!(
            first(&all, &odd, &letter("\u{e9}")),
            Ok("MAIL FROM:<it@a.example> SMTPUTF8 SIZE=4 BODY=8BITMIME\r\n".to_owned())
        );
        for (offers, envelope, text, word) in [
            (&none, &plain, "\u{e9}", "8BITMIME"),
            (&none, &odd, "x", "SMTPUTF8"),
            (&all, &plain, "123456789", "takes 10 at the most"),
        ] {
            let Err(Fault::Impossible { why }) = first(offers, envelope, &letter(text)) else { panic!("{word}") };
            assert!(why.contains(word), "{why}");
        }
        let (mut mail, _) = Transaction::begin(&none, &plain, &letter("x")).expect("it");
        let said = mail.heard(&reply(250)).expect("RCPT");
        assert_eq!(said, Next::Say(b"RCPT TO:<anna@xn--bcher-kva.example>\r\n".to_vec()));
    }
}
