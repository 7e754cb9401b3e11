/*
 * weir_error.hpp - why a message was not processed, and the words for it.
 */
#ifndef WEIR_ERROR_HPP
#define WEIR_ERROR_HPP

#include <charconv>
#include <chrono>
#include <concepts>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "weir.h"

namespace weir {

/// The C SDK's text as a view, and the other way round. Nothing is copied.
inline std::string_view view(weir_text text) { return {text.data, text.size}; }
inline weir_text text(std::string_view view) { return {view.data(), view.size()}; }

namespace detail {

inline void append(std::string &all, std::string_view part) { all += part; }
inline void append(std::string &all, const char *part) { all += part; }
inline void append(std::string &all, char part) { all += part; }
inline void append(std::string &all, bool part) { all += part ? "true" : "false"; }

template <std::integral T> void append(std::string &all, T part) {
    char digits[24];
    all.append(digits, std::to_chars(digits, digits + sizeof digits, part).ptr);
}

template <std::floating_point T> void append(std::string &all, T part) {
    const weir_text words = weir_format("%.15g", static_cast<double>(part));
    all.append(words.data, words.size);
}

}  // namespace detail

/// Text and numbers, one behind the other: `concat("rate ", 0.25, " of ", total)`. A small stand-in
/// for `std::format`, which would make every plugin 200 KiB larger.
template <class... Parts> [[nodiscard]] std::string concat(const Parts &...parts) {
    std::string all;
    (detail::append(all, parts), ...);
    return all;
}

/// Ends the processing of one message without outputs.
class Error {
   public:
    /// It is never going to work: a dead letter, with this reason. In `configure`, a refusal.
    template <class... Parts> [[nodiscard]] static Error reject(const Parts &...reason) {
        return Error(concat(reason...), Kind::reject, std::nullopt);
    }
    /// A passing fault: deliver the message again, with the pipeline's backoff.
    template <class... Parts> [[nodiscard]] static Error retry(const Parts &...reason) {
        return Error(concat(reason...), Kind::retry, std::nullopt);
    }
    /// A passing fault: deliver the message again, not before `after`.
    template <class... Parts>
    [[nodiscard]] static Error retry_after(std::chrono::milliseconds after, const Parts &...reason) {
        return Error(concat(reason...), Kind::retry, after);
    }

    [[nodiscard]] const std::string &reason() const { return reason_; }
    [[nodiscard]] bool is_retry() const { return kind_ == Kind::retry; }
    /// How long to wait at least; none leaves it to the pipeline.
    [[nodiscard]] std::optional<std::chrono::milliseconds> after() const { return after_; }

   private:
    enum class Kind : std::uint8_t { reject, retry };

    Error(std::string reason, Kind kind, std::optional<std::chrono::milliseconds> after)
        : reason_(std::move(reason)), kind_(kind), after_(after) {}

    std::string reason_;
    Kind kind_;
    std::optional<std::chrono::milliseconds> after_;
};

/// A value, or why there is none.
template <class T> using Result = std::expected<T, Error>;

/// `return weir::reject("no such case: ", name);`: see `Error`.
template <class... Parts> [[nodiscard]] std::unexpected<Error> reject(const Parts &...reason) {
    return std::unexpected(Error::reject(reason...));
}
/// `return weir::retry("the rate is unknown");`: see `Error`.
template <class... Parts> [[nodiscard]] std::unexpected<Error> retry(const Parts &...reason) {
    return std::unexpected(Error::retry(reason...));
}
/// `return weir::retry_after(500ms, "not yet");`: see `Error`.
template <class... Parts>
[[nodiscard]] std::unexpected<Error> retry_after(std::chrono::milliseconds after,
                                                 const Parts &...reason) {
    return std::unexpected(Error::retry_after(after, reason...));
}

/// Ends the plugin's instance, for what must not happen: this message becomes a dead letter with
/// these words, and the others of its batch go through in a new instance.
template <class... Parts> [[noreturn]] void panic(const Parts &...words) {
    weir_panic("%s", concat(words...).c_str());
}

}  // namespace weir

/// The value of a `Result`, or a return from this function with its error:
///
///     const double total = WEIR_TRY(order["total"].as<double>());
#define WEIR_TRY(...)                                                                   \
    ({                                                                                  \
        auto weir_tried = (__VA_ARGS__);                                                \
        if (!weir_tried) return std::unexpected(std::move(weir_tried).error());         \
        *std::move(weir_tried);                                                         \
    })

#endif
