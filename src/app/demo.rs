//! `authsome demo`: every agent that is present plays under the real `run`, one after the other.

use std::env;
use std::ffi::OsStr;

use anyhow::{Context, Result};

use super::App;
use crate::demo::{Agent, Played, Scene, Stage};
use crate::run::child::Signals;
use crate::run::folder::RunFolder;

/// How a demo ends.
pub(crate) enum Ending {
    /// All agents have played.
    Told(Tale),
    /// A signal ended it: the exit code that tells which.
    Stopped(u8),
}

/// What was seen in a demo. Its key opened nothing but the embedded API, which is gone.
pub(crate) struct Tale {
    pub(crate) key: String,
    pub(crate) scenes: Vec<Scene>,
    /// The agents that are not on this machine, or too old.
    pub(crate) absent: Vec<&'static str>,
}

impl Tale {
    /// Whether every agent was authenticated, and none saw the key.
    pub(crate) fn went_well(&self) -> bool {
        !self.scenes.is_empty() && self.scenes.iter().all(Scene::went_well)
    }
}

impl App {
    /// Plays the demo in a temporary home, which is gone when this returns. `show` gets the stage first, then it
    /// and each scene as it ends.
    pub(crate) fn demo(&self, show: &mut dyn FnMut(&Stage, Option<&Scene>) -> Result<()>) -> Result<Ending> {
        let signals = Signals::take()?;
        let own = env::current_exe().context("the program's own file cannot be found")?;
        let environment = &self.config.environment;
        let path = environment.text("PATH").unwrap_or_default();
        let stage = Stage::set(&RunFolder::base(self.config.runtime_folder.as_deref()), &self.clock)?;
        show(&stage, None)?;
        let (cast, mut absent) = Agent::cast(&own, OsStr::new(path));
        let mut scenes = Vec::with_capacity(cast.len());
        for agent in &cast {
            match stage.play(agent, &own, environment.all(), &signals)? {
                Played::Scene(scene) => {
                    show(&stage, Some(&scene))?;
                    scenes.push(scene);
                }
                Played::Unable => absent.push(agent.name),
                Played::Stopped(code) => return Ok(Ending::Stopped(code)),
            }
        }
        let key = stage.key().expose().clone();
        stage.strike().context("the temporary home cannot be removed")?;
        Ok(Ending::Told(Tale { key, scenes, absent }))
    }
}
