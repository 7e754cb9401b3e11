/*
 * weir_window.hpp - sums, counts and sketches over windows of time. For a plugin whose `plugin.yaml` says
 * `world: aggregator`.
 *
 *     #include "sdk/weir_window.hpp"
 *
 *     class Sales {
 *        public:
 *         using Accumulator = double;
 *
 *         weir::Result<void> add(double &sum, const weir::Message &message) {
 *             const weir::Json order = WEIR_TRY(message.json());  // not JSON: a dead letter
 *             sum += WEIR_TRY(order["total"].as<double>());
 *             return {};
 *         }
 *
 *         weir::Result<double> merge(double left, double right) { return left + right; }
 *
 *         weir::Result<weir::Outputs> emit(const weir::Pane &, double sum) {
 *             return weir::Output::json(sum);
 *         }
 *     };
 *
 *     WEIR_AGGREGATOR_PLUGIN(Sales);
 *
 * The host assigns messages to windows, keeps an accumulator for each key and window, and says when one is
 * emitted: the operator's `window:` in the pipeline file decides that. Results must not depend on how
 * messages were grouped: merging two accumulators is the same as adding the messages of both to one.
 *
 * An accumulator is kept as JSON, and `Accumulator()` stands for no messages. A type of yours is written
 * by `write_json` (see `JsonWriter`) and read by its own `static Result<Yours> read_json(Json)`, also what
 * an earlier version of the plugin has written.
 *
 * An error makes a dead letter of the message or the window. There is no retry here: it is a rejection.
 */
#ifndef WEIR_WINDOW_HPP
#define WEIR_WINDOW_HPP

#include <cstdint>
#include <span>
#include <string_view>

#include "weir.hpp"
#include "weir_window.h"

namespace weir {

/// Whether a result of a window comes before its end, at it or after it.
enum class Timing : std::uint8_t {
    early = WEIR_EARLY,
    on_time = WEIR_ON_TIME,
    late = WEIR_LATE,
};

/// As the header `Weir-Pane` has it: `early`, `on-time` or `late`.
[[nodiscard]] inline std::string_view name(Timing timing) {
    return weir_timing_name(static_cast<std::uint8_t>(timing));
}

/// One result of a window. What it emits and leaves out is empty, but for the key, which is the pane's; the
/// host adds headers that name the window.
class Pane {
   public:
    explicit Pane(const weir_pane &pane) : pane_(&pane) {}

    /// That of the messages, and "" if they have none.
    [[nodiscard]] std::string_view key() const { return view(pane_->key); }
    /// Of the window, in nanoseconds since the Unix epoch.
    [[nodiscard]] std::int64_t start() const { return pane_->start; }
    /// The same; the end is not part of the window.
    [[nodiscard]] std::int64_t end() const { return pane_->end; }
    [[nodiscard]] Timing timing() const { return static_cast<Timing>(pane_->timing); }
    /// How many panes of the window came before.
    [[nodiscard]] std::uint32_t index() const { return pane_->index; }

   private:
    const weir_pane *pane_;
};

namespace detail {

template <class T> Result<T> read_accumulator(weir_text accumulator) {
    if (accumulator.size == 0) return T();
    weir_text error{};
    const weir_json *json = weir_parse_json(accumulator, &error);
    if (!json) return reject("cannot read the accumulator as JSON: ", view(error));
    Result<T> made = Json(json, "accumulator").template as<T>();
    if (!made) return reject("cannot read the accumulator as JSON: ", made.error().reason());
    return made;
}

/// The new accumulator, or a rejection.
template <class T> void keep(const Result<T> &value, weir_text *accumulator, weir_result *result) {
    if (!value) return weir_reject(result, "%s", value.error().reason().c_str());
    *accumulator = text(JsonWriter().value(*value).view());
}

template <class Plugin>
Result<typename Plugin::Accumulator> added(weir_text accumulator, std::span<const weir_message> messages) {
    auto value = WEIR_TRY(read_accumulator<typename Plugin::Accumulator>(accumulator));
    for (const weir_message &message : messages) {
        WEIR_TRY(instance<Plugin>->add(value, Message(message)));
    }
    return value;
}

template <class Plugin>
Result<typename Plugin::Accumulator> merged(weir_text left, weir_text right) {
    auto earlier = WEIR_TRY(read_accumulator<typename Plugin::Accumulator>(left));
    auto later = WEIR_TRY(read_accumulator<typename Plugin::Accumulator>(right));
    return instance<Plugin>->merge(std::move(earlier), std::move(later));
}

template <class Plugin> Result<Outputs> emitted(const weir_pane &pane) {
    auto value = WEIR_TRY(read_accumulator<typename Plugin::Accumulator>(pane.accumulator));
    return instance<Plugin>->emit(Pane(pane), std::move(value));
}

}  // namespace detail
}  // namespace weir

/// Makes a class the aggregator that this project is. Once per plugin, at the end of the file.
///
/// It has a type `Accumulator` and the functions `Result<void> add(Accumulator &, const Message &)`, called
/// for each message, `Result<Accumulator> merge(Accumulator, Accumulator)`, whose first is of the earlier
/// part of the window, and `Result<Outputs> emit(const Pane &, Accumulator)`, called with each result of a
/// window; and `configure`, as for `WEIR_PLUGIN`.
#define WEIR_AGGREGATOR_PLUGIN(Plugin)                                                           \
    const char *weir_configure(const weir_json *config) {                                        \
        return weir::detail::configure<Plugin>(config);                                          \
    }                                                                                            \
    void weir_add(weir_text *accumulator, const weir_message *messages, size_t size,             \
                  weir_result *result) {                                                         \
        const auto added = weir::detail::added<Plugin>(*accumulator, std::span(messages, size)); \
        weir::detail::keep(added, accumulator, result);                                          \
    }                                                                                            \
    void weir_merge(weir_text *left, weir_text right, weir_result *result) {                     \
        weir::detail::keep(weir::detail::merged<Plugin>(*left, right), left, result);            \
    }                                                                                            \
    void weir_emit_pane(const weir_pane *pane, weir_result *result) {                            \
        weir::detail::finish(weir::detail::emitted<Plugin>(*pane), result);                      \
    }                                                                                            \
    static_assert(true, "takes the semicolon behind the macro")

#endif
