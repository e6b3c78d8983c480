//! One segment on the walk: its first line, its lines, its end.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::super::read::{Lines, Piece};
use super::line::{BEGINNINGS, Content, Mark, Opening, Parts, ZEROS, parts};
use super::problem::{NoteKind, ProblemKind};
use super::{Check, Claim, DOUBTS, Doubt, Segment, Walk};

/// A file before it is walked through.
pub(super) struct Peek {
    pub(super) file: PathBuf,
    is_active: bool,
    opening: Option<Opening>,
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Peek {
    /// Looks at the first two lines; what cannot be read shows on the walk.
    pub(super) fn of(file: &Path, active: &Path) -> Self {
        let mut head = [Vec::new(), Vec::new()];
        if let Ok(mut lines) = Lines::open(file) {
            for line in &mut head {
                if let Ok(Some(Piece::Line(found))) = lines.next() {
                    *line = found.to_vec();
                }
            }
        }
        let [first, second] = head;
        let opening = Opening::of(&first);
        Self { file: file.to_owned(), is_active: file == active, opening, first, second }
    }

    /// The active file is last; of the others the number in the name counts, where it is one of the writer's and no date
    /// (which has as many digits, and no zero before them), or else the one in the first line.
    pub(super) fn order(&self) -> (bool, u64) {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = name.rsplit('.').skip_while(|part| *part == "zst" || *part == "again");
        let named = parts
            .next()
            .filter(|part| part.len() == 8 && part.starts_with('0'))
            .and_then(|part| part.parse().ok());
        let number = named.or(self.opening.as_ref().map(|opening| opening.number)).unwrap_or(u64::MAX);
        (self.is_active, number)
    }
}

/// How far the chain is known on the walk through a segment.
enum Before {
    /// The line before: its number, and the hashes that it may have. There are two when it was altered: what it says,
    /// and what it should say.
    Line(u64, [u8; 32], Option<[u8; 32]>),
    /// Nothing yet, or since so many pieces that are no lines; the number is that of the last line.
    Lost(Option<u64>, u64),
}

/// The walk through one segment.
struct Steps<'k> {
    file: PathBuf,
    line: u64,
    before: Before,
    check: Option<Check<'k>>,
    /// Where the next segment goes on, if this one need not have a seal.
    resumes: Option<Claim>,
    resumed: bool,
    repeated: u64,
    damaged: u64,
    opening: Option<(u64, u64)>,
    seal: Option<u64>,
}

impl Steps<'_> {
    /// A line that stands again in the next segment, and whether it is whole is of no matter: it was never said to be
    /// durable.
    fn repeated(&mut self, covered: &[u8], own: Claim) {
        let follows = match (&self.before, self.check) {
            (Before::Line(seq, hash, _), Some(check)) => {
                own.seq == seq.saturating_add(1) && check.holds(hash, covered, &own.hash)
            }
            _ => false,
        };
        *(if follows { &mut self.repeated } else { &mut self.damaged }) += 1;
        self.before = Before::Line(own.seq, own.hash, None);
    }
}

impl<'k> Walk<'k> {
    pub(super) fn segment(&mut self, peek: &Peek, next: Option<&Peek>) {
        let is_last = next.is_none();
        let resumes = next.and_then(|next| next.opening.as_ref()).and_then(Opening::resumes);
        let mut steps = Steps {
            file: peek.file.clone(),
            line: 0,
            before: Before::Lost(None, 0),
            check: None,
            resumes,
            resumed: false,
            repeated: 0,
            damaged: 0,
            opening: None,
            seal: None,
        };
        self.enter(peek, &mut steps);
        if let Err(error) = self.walk(&mut steps, is_last) {
            self.problem(&peek.file, steps.line + 1, None, ProblemKind::Unreadable(error.to_string()));
        }
        self.leave(peek, &steps, is_last);
    }

    /// Checks how the segment goes on from the one before, and how its hashes are made.
    fn enter(&mut self, peek: &Peek, steps: &mut Steps<'k>) {
        let file = &peek.file;
        let number = peek.opening.as_ref().map(|opening| opening.number);
        steps.check = self.check_of(peek);
        if let Some(opening) = &peek.opening {
            steps.before = match opening.seq.checked_sub(1) {
                Some(seq) => Before::Line(seq, opening.previous, None),
                None => Before::Lost(None, 0),
            };
            steps.opening = Some((opening.number, opening.seq));
            if opening.seq == 0 && (opening.previous != ZEROS || opening.number != 1) {
                self.problem(file, 1, Some(0), ProblemKind::MarkWrong);
            }
            self.first_seq.get_or_insert(opening.seq);
            if self.last.is_none() {
                self.first_number = Some(opening.number);
            }
        } else if !peek.first.is_empty() || self.last.is_some() {
            self.problem(file, 1, None, ProblemKind::NoOpenLine);
        }
        if let (Some(opening), Some((last_number, end))) = (&peek.opening, self.last) {
            match last_number {
                Some(last) if opening.number == last => {
                    self.problem(file, 1, Some(opening.seq), ProblemKind::SegmentRepeated);
                }
                Some(last)
                    if opening.number > last.saturating_add(1)
                        && self.retired.saturating_add(1) < opening.number =>
                {
                    let (from, to) = (last.saturating_add(1), opening.number - 1);
                    self.problem(file, 1, Some(opening.seq), ProblemKind::SegmentsMissing { from, to });
                }
                _ if end.is_some_and(|end| {
                    end.seq.checked_add(1) != Some(opening.seq) || end.hash != opening.previous
                }) =>
                {
                    self.problem(file, 1, Some(opening.seq), ProblemKind::DoesNotFollow);
                }
                _ => {}
            }
        }
        let keyed = matches!(steps.check, Some(Check::Keyed(_)));
        match (keyed, number) {
            (true, Some(number)) => _ = self.keyed_since.get_or_insert(number),
            (false, _) if self.keyed_since.is_some() && steps.check.is_some() => {
                self.problem(file, 1, None, ProblemKind::NotKeyed);
            }
            _ => {}
        }
        self.last = Some((number, None));
        self.report.segments.push(Segment { file: file.clone(), number, lines: 0, sealed: false, keyed });
    }

    /// The way of hashing with which one of the first two lines holds. `None`: no line of it can be judged.
    fn check_of(&mut self, peek: &Peek) -> Option<Check<'k>> {
        let named = peek.opening.as_ref().map_or("", |opening| opening.algorithm.as_str());
        let first = parts(&peek.first);
        let second = parts(&peek.second);
        let mut ways = std::iter::once(Check::Plain).chain(self.keys.iter().map(|key| Check::Keyed(key)));
        let fits = |way: &Check<'_>| {
            let own = first.zip(peek.opening.as_ref());
            own.is_some_and(|(first, opening)| way.holds(&opening.previous, first.covered, &first.own.hash))
                || first.zip(second).is_some_and(|(first, second)| {
                    way.holds(&first.own.hash, second.covered, &second.own.hash)
                })
        };
        let found = ways.find(fits);
        match found {
            Some(_) => {}
            None if named == "hmac-sha256" && self.keys.is_empty() => {
                self.problem(&peek.file, 1, None, ProblemKind::KeyNeeded);
            }
            None if named == "hmac-sha256" => self.problem(&peek.file, 1, None, ProblemKind::KeyDoesNotFit),
            // Not a line, or altered: the walk says so.
            None => return Some(Check::Plain),
        }
        found
    }

    fn walk(&mut self, steps: &mut Steps<'k>, is_last: bool) -> std::io::Result<()> {
        let mut lines = Lines::open(&steps.file)?;
        while let Some(piece) = lines.next()? {
            match piece {
                Piece::Line(line) => {
                    steps.line += 1;
                    self.line(line, steps);
                }
                Piece::TooLong(_) => {
                    steps.line += 1;
                    self.no_line(steps);
                }
                Piece::Torn(torn) => self.torn(torn, steps, is_last),
            }
        }
        Ok(())
    }

    fn no_line(&mut self, steps: &mut Steps<'k>) {
        if steps.resumed {
            steps.damaged += 1;
            return;
        }
        self.problem(&steps.file, steps.line, None, ProblemKind::NotALine);
        steps.before = match steps.before {
            Before::Line(seq, ..) => Before::Lost(Some(seq), 1),
            Before::Lost(seq, pieces) => Before::Lost(seq, pieces + 1),
        };
    }

    fn line(&mut self, line: &[u8], steps: &mut Steps<'k>) {
        let Some(Parts { covered, own }) = parts(line) else { return self.no_line(steps) };
        self.report.lines += 1;
        if steps.seal.is_some() {
            self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::AfterSeal);
        }
        if steps.resumed {
            // What a segment that failed holds beyond this point stands again in the next.
            steps.repeated(covered, own);
            return;
        }
        let (expected, most) = match steps.before {
            Before::Line(seq, ..) => (seq.checked_add(1), 0),
            Before::Lost(seq, pieces) => (seq.map_or(Some(own.seq), |seq| seq.checked_add(1)), pieces),
        };
        let expected = expected.unwrap_or(u64::MAX);
        let in_place = own.seq >= expected && own.seq - expected <= most;
        let mut computed = None;
        let holds = match (&steps.before, steps.check) {
            _ if !in_place => {
                let kind = if own.seq > expected {
                    ProblemKind::LinesMissing { from: expected, to: own.seq - 1 }
                } else {
                    ProblemKind::OutOfPlace { expected }
                };
                self.problem(&steps.file, steps.line, Some(own.seq), kind);
                false
            }
            (Before::Line(_, hash, other), Some(check)) => {
                let holds = check.holds(hash, covered, &own.hash)
                    || other.is_some_and(|other| check.holds(&other, covered, &own.hash));
                if !holds {
                    computed = Some(check.compute(hash, covered));
                    self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::Altered);
                }
                holds
            }
            // The very first line follows the zeros.
            (Before::Lost(None, 0), Some(check)) if own.seq == 0 => {
                let holds = check.holds(&ZEROS, covered, &own.hash);
                if !holds {
                    computed = Some(check.compute(&ZEROS, covered));
                    self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::Altered);
                }
                holds
            }
            // Nothing to hold it against; the reason for that was told.
            _ => true,
        };
        steps.before = Before::Line(own.seq, own.hash, computed);
        if holds {
            self.held(line, own, steps);
        }
    }

    /// A line that is in its place and what was written.
    fn held(&mut self, line: &[u8], own: Claim, steps: &mut Steps<'k>) {
        let Ok(content) = serde_json::from_slice::<Content<'_>>(line) else {
            return self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::NotALine);
        };
        if self.claim.is_some_and(|claim| claim.seq == own.seq && claim.hash != own.hash) {
            self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::Rewritten);
        }
        self.report.head = Some(own);
        steps.resumed = steps.resumes == Some(own);
        match &content.segment {
            Some(mark) => self.mark(mark, own, steps),
            None => self.call(&content, own, steps),
        }
    }

    fn mark(&mut self, mark: &Mark<'_>, own: Claim, steps: &mut Steps<'k>) {
        let file = steps.file.clone();
        let (line, seq) = (steps.line, Some(own.seq));
        match mark.record.as_ref() {
            "open" if line > 1 => self.problem(&file, line, seq, ProblemKind::SecondOpenLine),
            "seal" => {
                let agrees = steps
                    .opening
                    .is_none_or(|(number, first)| mark.number == number && mark.first_seq == first)
                    && mark.lines == line - 1;
                if !agrees {
                    self.problem(&file, line, seq, ProblemKind::MarkWrong);
                }
                steps.seal = Some(line);
            }
            "recovered" => self.note(&file, line, NoteKind::Recovered { torn: mark.torn_bytes }),
            "gap" => self.note(&file, line, NoteKind::Gap { reads: mark.reads, writes: mark.writes }),
            "retired" => {
                self.retired = self.retired.max(mark.through);
                self.note(&file, line, NoteKind::Retired { through: mark.through });
            }
            // The first line was looked at already; a later version may tell more.
            _ => {}
        }
    }

    fn call(&mut self, content: &Content<'_>, own: Claim, steps: &Steps<'k>) {
        let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
        let record = content.additional_event_data.as_ref().and_then(|ours| ours.record.as_deref());
        if let (Some("intent" | "outcome"), Some(time)) = (record, content.event_time.as_deref()) {
            self.report.arrived(time);
        }
        match record {
            Some("intent") => {
                self.report.intents += 1;
                if self.open_intents.len() >= DOUBTS {
                    self.report.further_doubts += 1;
                    return;
                }
                let doubt = Doubt {
                    file: steps.file.clone(),
                    line: steps.line,
                    seq: own.seq,
                    request_id: text(&content.request_id),
                    time: text(&content.event_time),
                    name: text(&content.event_name),
                    client: content
                        .user_identity
                        .as_ref()
                        .and_then(|identity| identity.user_name.as_deref().map(str::to_owned)),
                };
                self.open_intents.insert(doubt.request_id.clone(), doubt);
            }
            Some("outcome") => {
                self.report.outcomes += 1;
                self.open_intents.remove(content.request_id.as_deref().unwrap_or_default());
            }
            _ => self.problem(&steps.file, steps.line, Some(own.seq), ProblemKind::NotALine),
        }
    }

    /// What follows the last newline. A crash leaves the beginning of a line; a complete line with something behind it is
    /// no such thing, nor is anything that no line contains.
    fn torn(&mut self, torn: &[u8], steps: &mut Steps<'k>, is_last: bool) {
        let printable = torn.iter().all(|byte| (0x20..0x7f).contains(byte));
        let beginning = BEGINNINGS.iter().any(|known| known.starts_with(torn) || torn.starts_with(known));
        let behind = (0..torn.len()).any(|end| parts(&torn[..end]).is_some());
        if steps.resumed {
            steps.damaged += 1;
        } else if steps.seal.is_some() {
            self.problem(&steps.file, steps.line + 1, None, ProblemKind::AfterSeal);
        } else if printable && beginning && !behind && is_last {
            let bytes = torn.len() as u64;
            self.note(&steps.file, steps.line + 1, NoteKind::Torn { bytes });
        } else {
            self.problem(&steps.file, steps.line + 1, None, ProblemKind::NotALine);
        }
    }

    fn leave(&mut self, peek: &Peek, steps: &Steps<'k>, is_last: bool) {
        let sealed = steps.seal == Some(steps.line) && steps.line > 0;
        if let Some(segment) = self.report.segments.last_mut() {
            (segment.lines, segment.sealed) = (steps.line, sealed);
        }
        let resumed = steps.resumed.then_some(steps.resumes).flatten();
        let end = match (resumed, &steps.before) {
            (Some(resumed), _) => Some(resumed),
            (None, Before::Line(seq, hash, _)) => Some(Claim { seq: *seq, hash: *hash }),
            (None, Before::Lost(..)) => None,
        };
        if resumed.is_some() {
            self.note(
                &peek.file,
                steps.line,
                NoteKind::Abandoned { repeated: steps.repeated, damaged: steps.damaged },
            );
        } else if !sealed && !is_last {
            self.problem(&peek.file, steps.line, None, ProblemKind::NotSealed);
        }
        let number = peek.opening.as_ref().map(|opening| opening.number);
        self.last = Some((number, end));
    }
}
