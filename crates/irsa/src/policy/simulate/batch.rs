//! Cases as lines of JSON.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use irsa_policy::Profile;
use irsa_simulate::{MAX_LINE, Simulator};

/// Answers that are gathered before they are written, as long as more cases are there.
const GATHERED: usize = 64 << 10;

/// Answers each line of the file, or of stdin if it is `-`, with a line on stdout, in their order. What is no case is
/// answered too: a batch is done when all of it is answered.
pub(super) fn run(file: &Path, profile: Profile) -> anyhow::Result<ExitCode> {
    let cases: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("`{}` can't be read", file.display()))?)
    };
    let mut cases = BufReader::with_capacity(256 << 10, cases);
    let mut stdout = io::stdout().lock();
    match answer(Simulator::with_profile(profile), &mut cases, &mut stdout) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Failed::Read(error)) => Err(anyhow::Error::new(error).context("the cases can't be read")),
        // Nobody listens any more.
        Err(Failed::Write(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(Failed::Write(error)) => Err(anyhow::Error::new(error).context("the answers can't be written")),
    }
}

#[derive(Debug)]
enum Failed {
    Read(io::Error),
    Write(io::Error),
}

fn answer(mut simulator: Simulator, cases: &mut BufReader<impl Read>, out: &mut impl Write) -> Result<(), Failed> {
    let mut answers = String::new();
    let mut line = Vec::new();
    let mut first = true;
    loop {
        // Who waits for an answer before it sends the next case gets it.
        if answers.len() > GATHERED || (!answers.is_empty() && !cases.buffer().contains(&b'\n')) {
            out.write_all(answers.as_bytes())
                .and_then(|()| out.flush())
                .map_err(Failed::Write)?;
            answers.clear();
        }
        if !read_line(cases, &mut line).map_err(Failed::Read)? {
            return Ok(());
        }
        let mut case = line.as_slice();
        if std::mem::take(&mut first) {
            case = case.strip_prefix("\u{feff}".as_bytes()).unwrap_or(case);
        }
        if !case.trim_ascii().is_empty() {
            simulator.answer(case, &mut answers);
            answers.push('\n');
        }
    }
}

/// Reads a line without its end; `false` at the end of all. Of a line that is too long the beginning is kept, and a byte
/// more than may be.
fn read_line(cases: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut began = false;
    loop {
        let buffer = match cases.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(began);
        }
        began = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        let room = (MAX_LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = end.map_or(buffer.len(), |end| end + 1);
        cases.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(cases: &[u8], capacity: usize) -> Vec<String> {
        let mut out = Vec::new();
        let mut cases = BufReader::with_capacity(capacity, cases);
        answer(Simulator::new(), &mut cases, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_of_any_kind() {
        let cases = "\u{feff}{\"id\":1}\r\n\n  \t\r\n{\"id\":2}\n{\"id\":3}";
        for capacity in [1, 7, 4096] {
            let answers = answered(cases.as_bytes(), capacity);
            assert_eq!(answers.len(), 3, "{answers:?}");
            for (index, answer) in answers.iter().enumerate() {
                assert!(answer.starts_with(&format!("{{\"id\":{},", index + 1)), "{answer}");
            }
        }
    }

    #[test]
    fn a_long_line_is_let_go() {
        let mut cases = b"{\"id\":1,\"x\":\"".to_vec();
        cases.resize(cases.len() + 3 * MAX_LINE, b'y');
        cases.extend_from_slice(b"\"}\n{\"id\":2}\n");
        let answers = answered(&cases, 4096);
        assert_eq!(answers.len(), 2);
        assert!(
            answers[0].starts_with("{\"id\":1,\"error\":\"the line is longer than"),
            "{}",
            answers[0]
        );
        assert!(answers[1].starts_with("{\"id\":2,"), "{}", answers[1]);
    }
}
