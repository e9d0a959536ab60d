//! Sessions in documents: their commands are run as they are printed, and must print what the document says.
//!
//! In a Markdown file, a block `console` holds commands (lines that begin with `$ `, and go on in lines that begin with `> `), each with all
//! that it prints, standard error included. Every command succeeds; one that should not says so itself (`; echo "exit code: $?"`). A block
//! with a file name behind its language is that file. In what is printed, `…` stands for any text of a line, and alone for any lines.
//! One shell runs the whole session. With `IRSA_SESSIONS_UPDATE` set, what differs is written into the document.

use std::{
    fmt::Write as _,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// What separates the outputs of commands: no command prints it.
const MARK: char = '\u{1e}';
/// Ends the texts of files in the script.
const END: &str = "END OF THIS FILE OF THE SESSION";
/// Seconds until a session counts as hung.
const LIMIT: &str = "400";

/// A document with commands.
pub struct Session {
    path: PathBuf,
    lines: Vec<String>,
    parts: Vec<Part>,
}

enum Part {
    File {
        name: String,
        text: String,
    },
    Command {
        text: String,
        /// Its output in the document: the first line and the one behind the last, from 0.
        printed: (usize, usize),
    },
}

impl Session {
    /// Reads a document.
    ///
    /// # Errors
    /// It cannot be read, or a block of it is not whole.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(path, &text).with_context(|| format!("in {}", path.display()))
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            at += 1;
            let Some(info) = line.strip_prefix("```") else { continue };
            let begin = at;
            let length = lines.iter().skip(begin).position(|line| line == "```");
            let end = begin + length.with_context(|| format!("the block of line {begin} has no end"))?;
            let block = lines.get(begin..end).unwrap_or_default();
            at = end + 1;
            match info.split_once(' ') {
                _ if info == "console" => commands(block, begin, &mut parts)?,
                Some((_, name)) => parts.push(Part::File {
                    name: name.to_owned(),
                    text: block.iter().map(|line| format!("{line}\n")).collect(),
                }),
                None => {}
            }
        }
        ensure!(
            parts.iter().any(|part| matches!(part, Part::Command { .. })),
            "there is no command"
        );
        Ok(Self {
            path: path.to_owned(),
            lines,
            parts,
        })
    }

    /// Runs it in a folder, with the environment of `command` (any program), and compares. In what the commands print, each of the texts is
    /// replaced by its partner first.
    ///
    /// # Errors
    /// A command fails, or prints something else than the document says.
    pub fn run(&self, command: &Command, folder: &Path, texts: &[(String, String)]) -> Result<()> {
        let printed = self.outputs(command, folder)?;
        let mut lines = self.lines.clone();
        let mut faults = String::new();
        let commands = self.parts.iter().filter_map(|part| match part {
            Part::Command { text, printed } => Some((text, printed)),
            Part::File { .. } => None,
        });
        let mut moved = 0isize;
        for (index, (text, (begin, end))) in commands.enumerate() {
            let Some((output, code)) = printed.get(index) else {
                write!(faults, "\n$ {text}\nwas not reached")?;
                break;
            };
            let mut output = output.clone();
            for (from, to) in texts {
                output = output.replace(from, to);
            }
            let actual: Vec<&str> = output.lines().map(str::trim_end).collect();
            let expected = self.lines.get(*begin..*end).unwrap_or_default();
            let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
            if code != "0" {
                write!(faults, "\nline {begin}: $ {text}\nended with {code}:\n{output}")?;
            } else if !matches(&expected, &actual) {
                write!(faults, "\nline {begin}: $ {text}\nprinted:\n{output}\nand not:\n")?;
                faults.push_str(&expected.join("\n"));
                let at = |line: usize| line.saturating_add_signed(moved);
                lines.splice(at(*begin)..at(*end), actual.iter().map(|line| (*line).to_owned()));
                moved += isize::try_from(actual.len())? - isize::try_from(end - begin)?;
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        if std::env::var_os("IRSA_SESSIONS_UPDATE").is_some() {
            fs::write(&self.path, lines.join("\n") + "\n")?;
        }
        bail!("{} is not what happens:{faults}", self.path.display());
    }

    /// What each command printed, and its exit code.
    fn outputs(&self, command: &Command, folder: &Path) -> Result<Vec<(String, String)>> {
        let mut script = String::from("trap 'kill $(jobs -p) 2> /dev/null' EXIT\n");
        for part in &self.parts {
            match part {
                Part::File { name, text } => write!(script, "cat > '{name}' <<'{END}'\n{text}{END}\n")?,
                Part::Command { text, .. } => {
                    write!(script, "{{\n{text}\n}} 2>&1\nprintf '{MARK}%s{MARK}' \"$?\"\n")?;
                }
            }
        }
        let own = tempfile::tempdir()?;
        let (script_file, output) = (own.path().join("script"), own.path().join("output"));
        fs::write(&script_file, script)?;
        let mut bash = Command::new("timeout");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => bash.env(name, value),
                None => bash.env_remove(name),
            };
        }
        // A file and no pipe: what a session leaves behind in the background holds nothing up.
        bash.args([LIMIT, "bash"])
            .arg(&script_file)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(Stdio::inherit())
            .status()
            .context("starting bash")?;
        let output = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
        let mut texts = output.split(MARK);
        let mut all = Vec::new();
        while let (Some(text), Some(code)) = (texts.next(), texts.next()) {
            all.push((text.to_owned(), code.to_owned()));
        }
        Ok(all)
    }
}

/// The commands of a block that begins at a line.
fn commands(block: &[String], first: usize, parts: &mut Vec<Part>) -> Result<()> {
    let mut at = 0;
    while let Some(line) = block.get(at) {
        let text = line
            .strip_prefix("$ ")
            .with_context(|| format!("line {}: output without a command", first + at + 1))?;
        let mut text = text.to_owned();
        at += 1;
        while let Some(more) = block.get(at).and_then(|line| line.strip_prefix('>')) {
            text.push('\n');
            text.push_str(more.strip_prefix(' ').unwrap_or(more));
            at += 1;
        }
        let begin = at;
        while block.get(at).is_some_and(|line| !line.starts_with("$ ")) {
            at += 1;
        }
        parts.push(Part::Command {
            text,
            printed: (first + begin, first + at),
        });
    }
    Ok(())
}

/// Whether lines are as expected, where `…` stands for any lines.
fn matches(expected: &[&str], actual: &[&str]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((&"…", rest)) => (0..=actual.len()).any(|skip| matches(rest, actual.get(skip..).unwrap_or_default())),
        Some((line, rest)) => actual
            .split_first()
            .is_some_and(|(first, others)| matches_line(line.trim_end(), first) && matches(rest, others)),
    }
}

/// Whether a line is as expected, where `…` stands for any text.
fn matches_line(expected: &str, actual: &str) -> bool {
    match expected.split_once('…') {
        None => expected == actual,
        Some((begin, rest)) => actual.strip_prefix(begin).is_some_and(|actual| {
            (0..=actual.len()).any(|skip| actual.get(skip..).is_some_and(|actual| matches_line(rest, actual)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<()> {
        let folder = tempfile::tempdir()?;
        let texts = [("world".to_owned(), "WORLD".to_owned())];
        Session::parse(Path::new("session.md"), text)?.run(&Command::new("true"), folder.path(), &texts)
    }

    #[test]
    fn what_is_printed_is_what_happens() {
        let text = "Words.\n```yaml a.txt\nx\n'y' $z\n```\n```console\n$ cat a.txt\nx\n'y' $z\n$ b=1\n$ cat <<EOF; echo to $b >&2\n> hello world\n>\n> again\n> EOF\nhello WORLD\n\nagain\nto 1\n```\n\
                    ```console\n$ false; echo \"exit code: $?\"\nexit code: 1\n$ printf 'a\\nb\\nc 12 s\\nno end'\na\n…\nc … s\nno end\n```\n";
        run(text).unwrap();
    }

    #[test]
    fn everything_that_differs_is_said() {
        let text = "```console\n$ echo a\nb\n$ false\n$ echo c\nc\n$ exit 3\n$ echo d\n```\n";
        let said = run(text).unwrap_err().to_string();
        assert!(said.contains("$ echo a\nprinted:\na\n\nand not:\nb"), "{said}");
        assert!(said.contains("$ false\nended with 1"), "{said}");
        assert!(!said.contains("$ echo c"), "{said}");
        assert!(said.contains("$ exit 3\nwas not reached"), "{said}");
        for broken in ["no command", "```console\n$ never ends", "```console\noutput\n```"] {
            assert!(run(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn wildcards() {
        assert!(matches(&["…"], &[]) && matches(&["a", "…"], &["a", "b"]));
        assert!(!matches(&["a", "…", "c"], &["a", "b"]));
        assert!(matches_line("a … c", "a  é c") && !matches_line("a …", "b x"));
    }
}
