/*
 * weir.hpp - write weir plugins in C++23: a class, how it is configured, one function per message.
 *
 *     #include "sdk/weir.hpp"
 *
 *     class Rebates {
 *        public:
 *         static weir::Result<Rebates> configure(weir::Json config) {
 *             Rebates rebates;
 *             rebates.rate_ = WEIR_TRY(config["rate"].as<double>());
 *             if (rebates.rate_ > 1) return weir::reject("`rate` is more than 1");
 *             return rebates;
 *         }
 *
 *         weir::Result<weir::Outputs> process(const weir::Message &message) {
 *             const weir::Json order = WEIR_TRY(message.json());  // not JSON: a dead letter
 *             const double total = WEIR_TRY(order["total"].as<double>());
 *             if (total == 0) return weir::drop();
 *             return weir::Output::json({{"order", order["id"]}, {"rebate", total * rate_}});
 *         }
 *
 *        private:
 *         double rate_ = 0;
 *     };
 *
 *     WEIR_PLUGIN(Rebates)
 *
 * What the function returns is what becomes of the message:
 *
 * | returned                                | effect                                             |
 * |-----------------------------------------|----------------------------------------------------|
 * | `weir::pass()`                          | published as it came; no bytes are moved           |
 * | `Output::json(...)`, `Output::text(...)`| one new message; what it does not set is taken over|
 * | `weir::Outputs`                         | many messages                                      |
 * | `weir::drop()`                          | dropped, on purpose                                |
 * | `weir::reject("why")`, or `WEIR_TRY`    | dead letter, with the reason                       |
 * | `weir::retry("why")`, `retry_after`     | delivered again later                              |
 * | a trap: `abort`, `weir::panic`, `at()`  | dead letter for this message alone                 |
 *
 * A plugin that counts, joins or removes duplicates keeps state: see weir_state.hpp. One that aggregates
 * windows of time has other functions than `process`: see weir_window.hpp.
 *
 * Views of a message or of its JSON live to the end of the call, and there are no exceptions: what
 * would throw ends the instance, with its words on stderr. Everything else is plain C++: what you
 * own, you own, and what you hand to an `Output` is copied unless it is the message's own.
 */
#ifndef WEIR_HPP
#define WEIR_HPP

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir.h"
#include "weir_error.hpp"
#include "weir_json.hpp"

namespace weir {

/// One header line. A name may occur more than once.
struct Header {
    std::string_view name;
    std::string_view value;
};

/// One message. A view, for as long as the call lasts.
class Message {
   public:
    explicit Message(const weir_message &message) : message_(&message) {}

    /// The subject it was published on, or that an earlier operator in the chain gave it.
    [[nodiscard]] std::string_view subject() const { return view(message_->subject); }
    /// One token of the subject, from 0: of `orders.berlin.paid`, token 1 is `berlin`. Empty where
    /// the subject has fewer.
    [[nodiscard]] std::string_view token(std::size_t index) const {
        return view(weir_token(message_, index));
    }
    /// The bytes, as they were published. Not necessarily text.
    [[nodiscard]] std::span<const std::byte> payload() const {
        return std::as_bytes(std::span(message_->payload.data, message_->payload.size));
    }
    /// The payload as text; a rejection where it is not UTF-8.
    [[nodiscard]] Result<std::string_view> text() const {
        std::size_t at = 0;
        if (weir_is_utf8(message_->payload, &at)) return view(message_->payload);
        return reject("cannot read the payload as UTF-8 text: byte ", at, " is none");
    }
    /// The payload as JSON; a rejection that says what is wrong and where.
    [[nodiscard]] Result<Json> json() const {
        weir_text error{};
        if (const weir_json *json = weir_parse_json(message_->payload, &error)) {
            return Json(json, "payload");
        }
        return reject("cannot read the payload as JSON: ", view(error));
    }
    /// The first value of a header; names are compared without regard to case.
    [[nodiscard]] std::optional<std::string_view> header(const char *name) const {
        weir_text value{};
        if (!weir_find_header(message_, name, &value)) return std::nullopt;
        return view(value);
    }
    /// The headers in order, for `for`: those that the operator's `headers:` asks for.
    [[nodiscard]] auto headers() const {
        return std::span(message_->headers.items, message_->headers.size) |
               std::views::transform([](const weir_header &header) {
                   return Header{view(header.name), view(header.value)};
               });
    }
    /// What the pipeline's `key:` takes from the message, or an earlier operator set.
    [[nodiscard]] std::optional<std::string_view> key() const {
        if (!message_->key.is_some) return std::nullopt;
        return view(message_->key.value);
    }
    /// What state and timers of this message belong to: its key, and "" if it has none.
    [[nodiscard]] std::string_view state_key() const { return key().value_or(""); }
    /// When it happened, in nanoseconds since the Unix epoch.
    [[nodiscard]] std::uint64_t event_time() const { return message_->event_time; }
    /// In the source stream, from 1. A redelivered message has the same.
    [[nodiscard]] std::uint64_t sequence() const { return message_->sequence; }
    /// 1 on first delivery, one more on each redelivery.
    [[nodiscard]] std::uint32_t attempt() const { return message_->attempt; }

   private:
    const weir_message *message_;
};

/// One message to be published. What it does not set is taken over from the input by the host.
class Output {
   public:
    /// The input as it came.
    Output() = default;
    /// New bytes. The input's own are not copied.
    explicit Output(std::span<const std::byte> payload)
        : payload_(kept({reinterpret_cast<const char *>(payload.data()), payload.size()})) {}

    [[nodiscard]] static Output text(std::string_view text) {
        Output output;
        output.payload_ = kept(text);
        return output;
    }
    /// A value as JSON text: see `JsonWriter::value`.
    template <class T> [[nodiscard]] static Output json(const T &value) {
        return json(JsonWriter().value(value));
    }
    /// An object as JSON text: `Output::json({{"sensor", sensor}, {"celsius", 12.5}})`.
    [[nodiscard]] static Output json(Members members) { return json(JsonWriter().object(members)); }
    [[nodiscard]] static Output json(const JsonWriter &writer) {
        Output output;
        output.payload_ = weir::text(writer.view());
        return output;
    }

    /// Sends it to this subject, before the pipeline's sink template is applied.
    Output &subject(std::string_view subject) { return subject_ = kept(subject), *this; }
    /// Gives it another key.
    Output &key(std::string_view key) { return key_ = kept(key), *this; }
    /// Adds a header. An output with headers of its own takes over none of the input's.
    Output &header(std::string_view name, std::string_view value) {
        own_headers().push_back({kept(name), kept(value)});
        return *this;
    }
    /// Adds the headers of the input, those that the operator's `headers:` asks for.
    Output &headers_of(const Message &message) {
        own_headers();
        for (const Header each : message.headers()) header(each.name, each.value);
        return *this;
    }
    /// No headers at all, neither the input's nor those added so far.
    Output &without_headers() { return own_headers().clear(), *this; }

    void emit(weir_result *result) const {
        weir_output *output = weir_emit(result);
        if (subject_) weir_set_subject(output, *subject_);
        if (payload_) weir_set_payload(output, *payload_);
        if (key_) weir_set_key(output, *key_);
        if (!headers_) return;
        weir_clear_headers(output);
        for (const weir_header &header : *headers_) weir_add_header(output, header.name, header.value);
    }

   private:
    static weir_text kept(std::string_view view) { return weir_for_call(weir::text(view)); }
    std::vector<weir_header> &own_headers() { return headers_ ? *headers_ : headers_.emplace(); }

    std::optional<weir_text> subject_;
    std::optional<weir_text> payload_;
    std::optional<weir_text> key_;
    std::optional<std::vector<weir_header>> headers_;
};

/// None, one or many outputs: what becomes of one message.
class Outputs {
   public:
    /// None: the message is dropped.
    Outputs() = default;
    Outputs(Output output) : first_(std::move(output)) {}
    Outputs(std::vector<Output> outputs) : more_(std::move(outputs)) {}

    void push_back(Output output) {
        if (first_ || !more_.empty()) {
            more_.push_back(std::move(output));
        } else {
            first_ = std::move(output);
        }
    }

    void emit(weir_result *result) const {
        if (first_) first_->emit(result);
        for (const Output &output : more_) output.emit(result);
    }

   private:
    /// One output is the usual case, and needs no allocation.
    std::optional<Output> first_;
    std::vector<Output> more_;
};

/// The message as it came. No bytes are moved.
[[nodiscard]] inline Outputs pass() { return Output(); }
/// Nothing: the message is dropped, on purpose.
[[nodiscard]] inline Outputs drop() { return {}; }

/// Entries for the host's log, made only when somebody listens: `log::info("rate ", rate)`.
namespace log {

[[nodiscard]] inline bool enabled(weir_level level) { return weir_log_enabled(level); }

template <class... Parts> void write(weir_level level, const Parts &...parts) {
    if (enabled(level)) weir_log(level, "%s", concat(parts...).c_str());
}
/// What only the author of the plugin wants to see.
template <class... Parts> void trace(const Parts &...parts) { write(WEIR_TRACE, parts...); }
/// What helps to find out why.
template <class... Parts> void debug(const Parts &...parts) { write(WEIR_DEBUG, parts...); }
/// What whoever runs the pipeline wants to know.
template <class... Parts> void info(const Parts &...parts) { write(WEIR_INFO, parts...); }
/// What whoever runs the pipeline should look at.
template <class... Parts> void warn(const Parts &...parts) { write(WEIR_WARN, parts...); }
/// What whoever runs the pipeline must look at.
template <class... Parts> void error(const Parts &...parts) { write(WEIR_ERROR, parts...); }

}  // namespace log

/// Numbers on the host's `/metrics`. A name is 1 to 64 of `a-z 0-9 _`, beginning with a letter.
namespace metrics {

/// Adds to a counter.
inline void add(const char *name, std::uint64_t value) { weir_metric_add(name, value); }
/// Sets a gauge.
inline void set(const char *name, double value) { weir_metric_set(name, value); }
/// Records an observation in a histogram.
inline void observe(const char *name, double value) { weir_metric_observe(name, value); }

}  // namespace metrics

/// The operator's part of the pipeline file, for code that has no hold of the plugin.
namespace config {

/// The value at a JSON pointer (RFC 6901; "" is the whole configuration); missing where there is none.
[[nodiscard]] inline Json get(const char *pointer) { return Json(weir_config(pointer), pointer); }
/// The pipeline's name.
[[nodiscard]] inline std::string_view pipeline() { return view(weir_pipeline_name()); }
/// The operator's name within the pipeline.
[[nodiscard]] inline std::string_view operator_name() { return view(weir_operator_name()); }

}  // namespace config

namespace detail {

/// The one plugin of this instance, which is one thread.
template <class Plugin> inline std::optional<Plugin> instance;

template <class Plugin> const char *configure([[maybe_unused]] const weir_json *config) {
    if constexpr (requires { Plugin::configure(Json(config)); }) {
        Result<Plugin> made = Plugin::configure(Json(config, "config"));
        if (!made) return weir_format("%s", made.error().reason().c_str()).data;
        instance<Plugin>.emplace(*std::move(made));
    } else {
        instance<Plugin>.emplace();
    }
    return nullptr;
}

inline void finish(const Result<Outputs> &outputs, weir_result *result) {
    if (outputs) return outputs->emit(result);
    const Error &error = outputs.error();
    const char *reason = error.reason().c_str();
    if (!error.is_retry()) return weir_reject(result, "%s", reason);
    if (!error.after()) return weir_retry(result, "%s", reason);
    const auto after = error.after()->count();
    weir_retry_after(result, after < 0 ? 0 : static_cast<std::uint64_t>(after), "%s", reason);
}

template <class Plugin> void process(const weir_message *message, weir_result *result) {
    finish(instance<Plugin>->process(Message(*message)), result);
}

}  // namespace detail
}  // namespace weir

/// Makes a class the plugin that this project is. Once per plugin, at the end of the file.
///
/// It has `Outputs process(const Message &)`, which may return a `Result` of that, and, unless it
/// needs no configuration, `static Result<Plugin> configure(Json)`, called once on every new
/// instance. The instance may be replaced between any two calls: what it holds is a cache, not state.
#define WEIR_PLUGIN(Plugin)                                                        \
    const char *weir_configure(const weir_json *config) {                          \
        return weir::detail::configure<Plugin>(config);                            \
    }                                                                              \
    void weir_process(const weir_message *message, weir_result *result) {          \
        weir::detail::process<Plugin>(message, result);                            \
    }                                                                              \
    static_assert(true, "takes the semicolon behind the macro")

#endif
