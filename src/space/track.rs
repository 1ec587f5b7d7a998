//! One restriction while parameters are bound one after the other: which state it is in, and where each next value leads. Bindings
//! that it cannot tell apart share a state, so it is evaluated once for a state and a value, and not once for a configuration.
use super::arithmetic::Operand;
use super::evaluate::{Note, Partial, Range};
use super::intern::Interner;
use super::{Parameter, Restriction};

/// Where a value leads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Next {
    /// Number of a state.
    State(u32),
    /// It holds, whatever comes.
    Holds,
    /// It cannot hold any more.
    Broken,
    /// It is a mistake, whatever comes: a division by zero.
    Fails,
}

#[derive(Debug)]
pub(super) struct Track<'a> {
    restriction: &'a Restriction,
    parameters: &'a [Parameter],
    /// The parameters that it reads and that have more than one value, in the order in which they are bound.
    pub(super) reads: Vec<usize>,
    steps: Vec<Step>,
    scope: Vec<Partial<'a>>,
    note: Note,
    /// Of the state that is evaluated, and the next one.
    digits: Vec<u16>,
}

/// The states before one of its parameters is bound.
#[derive(Debug, Default)]
struct Step {
    states: Interner,
    /// For each state, digits of the parameters bound before that lead there: one way of maybe many.
    digits: Vec<u16>,
    /// For each state and each value of the parameter, where that leads, if it was asked before.
    next: Vec<Option<Next>>,
    width: usize,
}

/// What each parameter can be, where nothing is bound.
pub(super) fn scope<'a>(parameters: &'a [Parameter], domains: &[Vec<u16>]) -> Vec<Partial<'a>> {
    let own = |(parameter, domain): (&'a Parameter, &Vec<u16>)| {
        let mut values = domain
            .iter()
            .map(|d| Operand::of(&parameter.values[usize::from(*d)]));
        match (domain.len(), values.next()) {
            (1, Some(only)) => Partial::Known(only),
            (_, first) => Partial::Open(Range::over(first.into_iter().chain(values))),
        }
    };
    parameters.iter().zip(domains).map(own).collect()
}

impl<'a> Track<'a> {
    /// `order`: of the parameters that are bound.
    pub(super) fn new(
        restriction: &'a Restriction,
        parameters: &'a [Parameter],
        scope: Vec<Partial<'a>>,
        order: &[usize],
    ) -> Track<'a> {
        let is_read =
            |p: &usize| restriction.reads.contains(p) && !matches!(scope[*p], Partial::Known(_));
        let reads: Vec<usize> = order.iter().copied().filter(is_read).collect();
        let mut steps: Vec<Step> = reads
            .iter()
            .map(|p| Step {
                width: parameters[*p].values.len(),
                ..Step::default()
            })
            .collect();
        if let Some(first) = steps.first_mut() {
            first.states.number(&[]);
        }
        Track {
            restriction,
            parameters,
            reads,
            steps,
            scope,
            note: Note::default(),
            digits: vec![],
        }
    }

    /// Binds its parameter number `step` in a state: 0 is the one before anything is bound.
    pub(super) fn bind(&mut self, step: usize, state: u32, digit: u16) -> Next {
        let own = &mut self.steps[step];
        // Parameters are bound layer by layer: no state is added to this step any more.
        if own.next.is_empty() {
            own.next = vec![None; own.states.len() * own.width];
        }
        let place = state as usize * own.width + usize::from(digit);
        if let Some(known) = own.next[place] {
            return known;
        }
        let found = self.evaluate(step, state, digit);
        self.steps[step].next[place] = Some(found);
        found
    }

    fn evaluate(&mut self, step: usize, state: u32, digit: u16) -> Next {
        let known = &self.steps[step].digits[state as usize * step..][..step];
        self.digits.clear();
        self.digits.extend_from_slice(known);
        self.digits.push(digit);
        for (p, digit) in self.reads.iter().zip(&self.digits) {
            let value = &self.parameters[*p].values[usize::from(*digit)];
            self.scope[*p] = Partial::Known(Operand::of(value));
        }
        self.note.words.clear();
        let truth = (self.restriction.root).truth(&self.scope, &mut self.note);
        match truth {
            Partial::Known(value) if value.is_true() => Next::Holds,
            Partial::Known(_) => Next::Broken,
            Partial::Fails(_) => Next::Fails,
            Partial::Open(_) => {
                let next = &mut self.steps[step + 1];
                let (state, is_new) = next.states.number(&self.note.words);
                if is_new {
                    next.digits.extend_from_slice(&self.digits);
                }
                Next::State(state)
            }
        }
    }
}
