//! Signals that we are sent, and signals that we pass on.

use std::io::IsTerminal as _;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Listens from now on; each signal that came is received once.
pub(crate) fn listen(signals: &[Signal]) -> std::io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(16);
    for wanted in signals.iter().copied() {
        let mut stream = signal(SignalKind::from_raw(wanted.as_raw()))?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(wanted).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(receiver)
}

/// Those that ask to stop.
pub(crate) fn stop_signals() -> std::io::Result<mpsc::Receiver<Signal>> {
    listen(&[Signal::INT, Signal::TERM, Signal::HUP])
}

/// Those that a command in our place would get.
pub(crate) fn forwarded_signals() -> std::io::Result<mpsc::Receiver<Signal>> {
    listen(&[
        Signal::INT,
        Signal::QUIT,
        Signal::TERM,
        Signal::HUP,
        Signal::USR1,
        Signal::USR2,
    ])
}

/// Whether a terminal has sent the signal to the command already, which shares our process group.
pub(crate) fn comes_from_terminal(signal: Signal) -> bool {
    matches!(signal, Signal::INT | Signal::QUIT) && std::io::stdin().is_terminal()
}

/// Sends a signal to a process that has not been waited for.
pub(crate) fn send(process: u32, signal: Signal) {
    if let Some(pid) = pid(process) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// Sends a signal to a process group whose leader has not been waited for.
pub(crate) fn send_to_group(leader: u32, signal: Signal) {
    if let Some(pid) = pid(leader) {
        let _ = kill_process_group(pid, signal);
    }
}

fn pid(process: u32) -> Option<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw)
}
