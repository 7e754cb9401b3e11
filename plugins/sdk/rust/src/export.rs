//! The macros that make a type the plugin that a crate is.

/// Makes an [`Operator`](crate::Operator) the plugin that this crate is. Once per crate, with
/// `crate-type = ["cdylib"]` in its `Cargo.toml`.
#[macro_export]
macro_rules! export {
    ($operator:ty) => {
        $crate::__export_operator!($operator, {});
    };
}

/// As [`export!`], for an operator that is [`Stateful`](crate::Stateful).
#[macro_export]
macro_rules! export_stateful {
    ($operator:ty) => {
        $crate::__export_stateful!($operator, {});
    };
}

/// As [`export_stateful!`], for an operator that can [`Migrate`](crate::Migrate) values.
#[macro_export]
macro_rules! export_migrating {
    ($operator:ty) => {
        $crate::__export_stateful!($operator, {
            use $crate::migration_bindings::exports::weir::migration::migration;

            impl migration::Guest for Component {
                fn format() -> u32 {
                    <$operator as $crate::Migrate>::FORMAT
                }

                fn migrate(
                    values: ::std::vec::Vec<$crate::Stored>,
                ) -> ::std::vec::Vec<
                    ::std::result::Result<
                        ::std::option::Option<::std::vec::Vec<u8>>,
                        ::std::string::String,
                    >,
                > {
                    $crate::glue::migrate::<$operator>(&values)
                }
            }

            $crate::migration_bindings::export_migration!(
                Component with_types_in $crate::migration_bindings
            );
        });
    };
}

/// Makes an [`Aggregator`](crate::Aggregator) the plugin that this crate is. Once per crate, with
/// `crate-type = ["cdylib"]` in its `Cargo.toml`.
#[macro_export]
macro_rules! export_aggregator {
    ($aggregator:ty) => {
        $crate::__export!($aggregator, configure_aggregator, {
            use $crate::window_bindings::exports::weir::window::aggregation;

            type Answers<T> = ::std::vec::Vec<::std::result::Result<T, ::std::string::String>>;

            impl aggregation::Guest for Component {
                fn add(
                    additions: ::std::vec::Vec<aggregation::Addition>,
                ) -> Answers<aggregation::Accumulator> {
                    OPERATOR.with(|aggregator| $crate::glue::add(aggregator, additions))
                }

                fn merge(
                    pairs: ::std::vec::Vec<aggregation::Pair>,
                ) -> Answers<aggregation::Accumulator> {
                    OPERATOR.with(|aggregator| $crate::glue::merge(aggregator, pairs))
                }

                fn emit(
                    panes: ::std::vec::Vec<aggregation::Pane>,
                ) -> Answers<::std::vec::Vec<$crate::Output>> {
                    OPERATOR.with(|aggregator| $crate::glue::emit(aggregator, panes))
                }
            }

            $crate::window_bindings::export_aggregation!(
                Component with_types_in $crate::window_bindings
            );
        });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_stateful {
    ($operator:ty, { $($more:tt)* }) => {
        $crate::__export_operator!($operator, {
            use $crate::state_bindings::exports::weir::state::timer_handler;

            impl timer_handler::Guest for Component {
                fn on_timer(
                    due: ::std::vec::Vec<$crate::Timer>,
                ) -> ::std::vec::Vec<$crate::Outcome> {
                    OPERATOR.with(|operator| $crate::glue::on_timer(operator, &due))
                }
            }

            $crate::state_bindings::export_timer_handler!(
                Component with_types_in $crate::state_bindings
            );

            $($more)*
        });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_operator {
    ($operator:ty, { $($more:tt)* }) => {
        $crate::__export!($operator, configure, {
            use $crate::handler_bindings::exports::weir::plugin::handler;

            impl handler::Guest for Component {
                fn process(
                    batch: ::std::vec::Vec<$crate::Message>,
                ) -> ::std::vec::Vec<$crate::Outcome> {
                    OPERATOR.with(|operator| $crate::glue::process(operator, &batch))
                }
            }

            $crate::handler_bindings::export_handler!(
                Component with_types_in $crate::handler_bindings
            );

            $($more)*
        });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($operator:ty, $configure:ident, { $($more:tt)* }) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::bindings::exports::weir::plugin::configurable;

            // A component instance is one thread, entered by one call at a time.
            ::std::thread_local! {
                static OPERATOR: ::std::cell::RefCell<::std::option::Option<$operator>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            struct Component;

            impl configurable::Guest for Component {
                fn configure(
                    config: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    OPERATOR.with(|operator| $crate::glue::$configure(operator, &config))
                }
            }

            $crate::bindings::export_configurable!(Component with_types_in $crate::bindings);

            $($more)*
        };

        // In a native build, for tests, there is no host to export to; the type is used all the same.
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            let _ = $crate::glue::$configure::<$operator>;
        };
    };
}
