//! Savepoints that are restored in the middle of a schedule: their groups were saved at different times, like
//! those of several partitions, and are restored into a new log or in place.

use super::fold::Folding;
use super::host::Host;
use super::oracle::Published;
use super::sabotage::Sabotaged;
use super::schedule::{GROUPS, Owner, Schedule};
use crate::job::log::LogError;
use crate::job::model::Model;
use crate::job::positions::{Span, merged, spans};
use crate::job::replace::{Most, Replacement};
use crate::job::surroundings::End;
use bytes::Bytes;
use std::cell::Cell;
use std::rc::Rc;

/// What was saved, and what is being restored.
#[derive(Default)]
pub struct Restores {
    /// Of each group, what was saved of it last.
    saved: [Option<Saved>; GROUPS as usize],
    /// A restore that is not known to be done.
    pending: Option<Rc<Pending>>,
    /// Results up to the last restore, as far as its groups had come.
    pub earlier: Vec<Published>,
    /// Results in the log that came before the last restore.
    pub base: Rc<Cell<usize>>,
    /// How many were begun.
    pub count: u64,
}

/// A key group at some time.
#[derive(Clone)]
struct Saved {
    span: Span,
    content: Bytes,
    /// Its results so far.
    published: Vec<Published>,
}

struct Pending {
    saved: Vec<Saved>,
    done: Cell<bool>,
}

fn group(published: Published) -> u16 {
    let (Published::Result { key, .. }
    | Published::Fired { key, .. }
    | Published::Dead { key, .. }) = published;
    u16::from(key) % GROUPS
}

impl<F: Folding + 'static> Schedule<F> {
    fn restores(&mut self) -> &mut Restores {
        self.restores.as_mut().unwrap()
    }

    /// Saves a group, begins a restore, or goes on with one.
    pub fn save_or_restore(&mut self) -> Result<(), String> {
        // Whoever carries it out has it, too.
        let pending = self.restores().pending.as_ref();
        let pending = pending.map(|pending| (pending.done.get(), Rc::strong_count(pending)));
        match pending {
            Some((true, _)) => self.restores().pending = None,
            Some((false, 1)) => self.start_restore(),
            Some(_) => {}
            None if !self.is_whole() => {}
            None if self.below(3) > 0 => {
                let group = self.below(usize::from(GROUPS)) as u16;
                self.save(group)?;
            }
            None => self.begin_restore()?,
        }
        Ok(())
    }

    fn save(&mut self, number: u16) -> Result<(), String> {
        let (held, _) = self.model.content();
        let held = held.ok_or("there is no checkpoint")?;
        let content = self.recovered()?.snapshot(number);
        let published = self.published().into_iter();
        let published = published.filter(|it| group(*it) == number).collect();
        let span = spans(&(0..GROUPS), &held.checkpoint.inputs);
        let mut span = span
            .into_iter()
            .find(|span| span.groups.contains(&number))
            .unwrap();
        span.groups = number..number + 1;
        self.restores().saved[usize::from(number)] = Some(Saved {
            span,
            content,
            published,
        });
        Ok(())
    }

    fn begin_restore(&mut self) -> Result<(), String> {
        for number in 0..GROUPS {
            if self.restores().saved[usize::from(number)].is_none() {
                self.save(number)?;
            }
        }
        let restores = self.restores();
        let saved: Vec<Saved> = restores.saved.iter().flatten().cloned().collect();
        restores.earlier = saved
            .iter()
            .flat_map(|saved| saved.published.clone())
            .collect();
        let done = Cell::new(false);
        restores.pending = Some(Rc::new(Pending { saved, done }));
        restores.base.set(usize::MAX);
        restores.count += 1;
        // Into the log of another job; nobody owns that.
        if self.below(2) == 0 {
            let inputs = self.model.inputs.borrow().clone();
            let seed = self.model.random.borrow_mut().below(usize::MAX) as u64;
            let mut model = Model::new(seed, inputs.len(), 100);
            model.now = Rc::clone(&self.model.now);
            *model.inputs.borrow_mut() = inputs;
            *model.tally.borrow_mut() = *self.model.tally.borrow();
            self.model = Rc::new(model);
            self.owners.clear();
        }
        self.start_restore();
        Ok(())
    }

    fn start_restore(&mut self) {
        self.started += 1;
        let (model, stopped) = (Rc::clone(&self.model), Rc::default());
        let host = Host {
            model: Rc::clone(&model),
            name: self.started,
            one_name: false,
            owners: Cell::new(0),
            stopped: Rc::clone(&stopped),
            stands_by: false,
        };
        let log = Sabotaged {
            model,
            sabotage: self.sabotage,
            staged: Default::default(),
        };
        let restores = self.restores();
        let (base, pending) = (Rc::clone(&restores.base), restores.pending.clone().unwrap());
        let future = Box::pin(async move {
            match restore(&log, &host, &pending, &base).await {
                Ok(()) => pending.done.set(true),
                // Another was begun.
                Err(LogError::WrongFence) => {}
                Err(error) => return End::Failed(error.to_string()),
            }
            End::Stopped
        });
        self.owners.push(Owner {
            future,
            stopped,
            promoted: Rc::new(Cell::new(true)),
            sleeps: 0,
        });
    }

    /// What was begun is brought to its end, and every host has heard of it: one without anything to commit does not
    /// find out by itself.
    pub fn finish_restore(&mut self) {
        let Some(restores) = self.restores.as_ref().filter(|restores| restores.count > 0) else {
            return;
        };
        let pending = restores
            .pending
            .as_ref()
            .is_some_and(|pending| !pending.done.get());
        self.owners.clear();
        if pending {
            self.start_restore();
        }
    }
}

async fn restore(
    log: &Sabotaged,
    host: &Host,
    pending: &Pending,
    base: &Cell<usize>,
) -> Result<(), LogError> {
    let most = Most {
        messages: 10,
        bytes: 100,
        part: 64,
    };
    let mut replacement = Replacement::begin(log, host, most).await?;
    base.set(log.model.outputs().len());
    for saved in &pending.saved {
        replacement
            .put(saved.span.groups.start, saved.content.clone())
            .await?;
    }
    let spans: Vec<Span> = pending
        .saved
        .iter()
        .map(|saved| saved.span.clone())
        .collect();
    let inputs = merged(&(0..GROUPS), &spans);
    replacement.finish(0..GROUPS, inputs).await.map(drop)
}
