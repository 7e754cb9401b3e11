//! The interface `weir:migration/migration@0.1.0`, which a stateful operator may export: values in older formats.
//!
//! Which values are of an older format, and that they are written with the call for which they are migrated, is the
//! state's part (`state/values.rs`).

use crate::plugin::instance::State;
use crate::state::Outdated;
use exports::weir::migration::migration;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

wasmtime::component::bindgen!({
    path: "../wit",
    inline: "
        package weir:host;

        world migrates {
          export weir:migration/migration@0.1.0;
        }
    ",
    world: "weir:host/migrates",
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});

/// Bytes of values that are migrated in one call, unless one alone has more.
const CHUNK: usize = 1 << 20;

/// The export of one instance.
pub(super) struct Guest(migration::Guest);

/// Where the export is in a component.
pub(super) struct Export(migration::GuestIndices);

impl Export {
    /// None where the component does not export it.
    pub(super) fn find(pre: &InstancePre<State>) -> Option<Self> {
        migration::GuestIndices::new(pre).ok().map(Self)
    }

    pub(super) fn take(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Guest> {
        Ok(Guest(self.0.load(store, instance)?))
    }
}

impl Guest {
    /// The format that this version reads and writes.
    pub(super) async fn format(&self, store: &mut Store<State>) -> wasmtime::Result<u32> {
        match self.0.call_format(store).await? {
            0 => wasmtime::bail!(
                "it declares format 0, which is the format of versions without `migrate`"
            ),
            format => Ok(format),
        }
    }

    /// Brings the values of these keys to the present format.
    pub(super) async fn migrate<'a>(
        &self,
        store: &mut Store<State>,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> wasmtime::Result<()> {
        for key in keys {
            loop {
                let outdated = store.data().outdated(key, CHUNK)?;
                if outdated.is_empty() {
                    break;
                }
                self.migrate_some(store, &outdated).await?;
            }
        }
        Ok(())
    }

    async fn migrate_some(
        &self,
        store: &mut Store<State>,
        outdated: &[Outdated],
    ) -> wasmtime::Result<()> {
        let values = outdated.iter().map(lower).collect::<Result<Vec<_>, _>>()?;
        let lent = store.data_mut().lent_state.take();
        let migrated = self.0.call_migrate(&mut *store, &values).await?;
        store.data_mut().lent_state = lent;
        let (expected, got) = (values.len(), migrated.len());
        if expected != got {
            wasmtime::bail!("`migrate` returned {got} results for {expected} values");
        }
        for (old, new) in outdated.iter().zip(migrated) {
            let new = new.map_err(|reason| {
                wasmtime::format_err!(
                    "cannot migrate a value of format {}: {}",
                    old.format,
                    super::operator_0_1_0::bounded(reason)
                )
            })?;
            store.data_mut().migrated(old, new.as_deref())?;
        }
        Ok(())
    }
}

/// A record that borrows from the value.
fn lower(outdated: &Outdated) -> wasmtime::Result<migration::Stored<'_>> {
    Ok(migration::Stored {
        key: str::from_utf8(&outdated.key)?,
        name: str::from_utf8(&outdated.name)?,
        format: outdated.format,
        value: &outdated.value,
    })
}
