/*
 * weir_json.hpp - JSON in C++: `Json` reads, `JsonWriter` writes. Integers of 64 bits are exact.
 *
 * Values are views: they live to the end of the call, those of the configuration as long as the
 * instance. Nothing throws; what does not fit is an `Error` with a reason.
 */
#ifndef WEIR_JSON_HPP
#define WEIR_JSON_HPP

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "weir_error.hpp"
#include "weir_json.h"

namespace weir {

class Json;

namespace detail {

/// What is none of the types below reads itself.
template <class T> struct Reader {
    static Result<T> read(const Json &json) { return T::read_json(json); }
};

}  // namespace detail

/// A JSON value, or the place where one is missing: `order["items"][0]["price"]` may be asked of
/// anything, and only `as` says that it is not there.
class Json {
   public:
    /// A missing value.
    constexpr Json() = default;
    explicit constexpr Json(const weir_json *value, std::string_view name = {}, std::size_t index = 0)
        : value_(value), name_(name), index_(index) {}

    /// Whether there is a value; `null` is one.
    [[nodiscard]] bool exists() const { return value_ != nullptr; }
    [[nodiscard]] bool is_null() const { return is(WEIR_JSON_NULL); }
    [[nodiscard]] bool is_array() const { return is(WEIR_JSON_ARRAY); }
    [[nodiscard]] bool is_object() const { return is(WEIR_JSON_OBJECT); }
    [[nodiscard]] bool is_string() const { return is(WEIR_JSON_STRING); }
    [[nodiscard]] bool is_number() const {
        return is(WEIR_JSON_INTEGER) || is(WEIR_JSON_UNSIGNED) || is(WEIR_JSON_DOUBLE);
    }

    /// The value as a `bool`, any integer (an error where it does not fit), a `double`, a
    /// `std::string_view`, a `std::string`, a `Json`, or a `std::optional` (for what may be `null`
    /// or missing) or a `std::vector` of these; or a type of yours, read by its own
    /// `static Result<Yours> read_json(Json)`.
    template <class T> [[nodiscard]] Result<T> as() const { return detail::Reader<T>::read(*this); }

    /// The member of an object; missing where there is none, or no object.
    [[nodiscard]] Json operator[](std::string_view name) const {
        if (is_object()) {
            for (std::size_t at = value_->size; at-- > 0;) {
                if (view(value_->names[at]) == name) return Json(&value_->items[at], name);
            }
        }
        return Json(nullptr, name);
    }
    /// Without this, `["name"]` could mean `[0]` of a pointer.
    [[nodiscard]] Json operator[](const char *name) const { return (*this)[std::string_view(name)]; }

    /// The item of an array; missing where there is none, or no array.
    [[nodiscard]] Json operator[](std::size_t at) const {
        const bool found = is_array() && at < value_->size;
        return Json(found ? &value_->items[at] : nullptr, {}, at);
    }
    [[nodiscard]] Json operator[](int at) const { return (*this)[static_cast<std::size_t>(at)]; }

    /// How many items an array or members an object has; 0 for anything else.
    [[nodiscard]] std::size_t size() const { return is_array() || is_object() ? value_->size : 0; }

    /// The items of an array, for `for`; none of anything else.
    [[nodiscard]] auto items() const {
        const auto item = [array = *this](std::size_t at) { return array[at]; };
        return std::views::iota(std::size_t{0}, is_array() ? size() : 0) | std::views::transform(item);
    }

    /// The members of an object, as pairs of name and value, in the order of the text.
    [[nodiscard]] auto members() const {
        const auto member = [value = value_](std::size_t at) {
            const std::string_view name = view(value->names[at]);
            return std::pair(name, Json(&value->items[at], name));
        };
        return std::views::iota(std::size_t{0}, is_object() ? size() : 0) |
               std::views::transform(member);
    }

    /// What the C functions of the SDK take; null where it is missing.
    [[nodiscard]] const weir_json *get() const { return value_; }

    /// The error of somebody who wanted something else here.
    [[nodiscard]] Error wrong(std::string_view wanted) const {
        static constexpr std::string_view kinds[] = {"null",     "a boolean", "an integer", "an integer",
                                                     "a number", "a string",  "an array",   "an object"};
        const std::string_view is = exists() ? kinds[value_->type] : "missing";
        if (name_.empty()) {
            return Error::reject("item ", index_, " is ", is, " and should be ", wanted);
        }
        if (!exists()) return Error::reject("`", name_, "` is missing");
        return Error::reject("`", name_, "` is ", is, " and should be ", wanted);
    }

   private:
    [[nodiscard]] bool is(weir_json_type type) const { return value_ && value_->type == type; }

    const weir_json *value_ = nullptr;
    /// Where it was looked for, for the words of an error.
    std::string_view name_;
    std::size_t index_ = 0;
};

namespace detail {

template <> struct Reader<Json> {
    static Result<Json> read(const Json &json) {
        if (!json.exists()) return std::unexpected(json.wrong("there"));
        return json;
    }
};

template <> struct Reader<bool> {
    static Result<bool> read(const Json &json) {
        if (json.exists() && json.get()->type == WEIR_JSON_BOOL) return json.get()->boolean;
        return std::unexpected(json.wrong("a boolean"));
    }
};

template <std::integral T> struct Reader<T> {
    static Result<T> read(const Json &json) {
        const weir_json *value = json.get();
        if (value && value->type == WEIR_JSON_INTEGER && std::in_range<T>(value->integer)) {
            return static_cast<T>(value->integer);
        }
        if (value && value->type == WEIR_JSON_UNSIGNED && std::in_range<T>(value->unsigned_integer)) {
            return static_cast<T>(value->unsigned_integer);
        }
        const auto least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
        return std::unexpected(json.wrong(concat("an integer from ", least, " to ", most)));
    }
};

template <std::floating_point T> struct Reader<T> {
    static Result<T> read(const Json &json) {
        const weir_json *value = json.get();
        switch (json.is_number() ? value->type : WEIR_JSON_NULL) {
            case WEIR_JSON_INTEGER: return static_cast<T>(value->integer);
            case WEIR_JSON_UNSIGNED: return static_cast<T>(value->unsigned_integer);
            case WEIR_JSON_DOUBLE: return static_cast<T>(value->number);
            default: return std::unexpected(json.wrong("a number"));
        }
    }
};

template <class T>
    requires std::same_as<T, std::string_view> || std::same_as<T, std::string>
struct Reader<T> {
    static Result<T> read(const Json &json) {
        if (json.is_string()) return T(view(json.get()->string));
        return std::unexpected(json.wrong("a string"));
    }
};

template <class T> struct Reader<std::optional<T>> {
    static Result<std::optional<T>> read(const Json &json) {
        if (!json.exists() || json.is_null()) return std::optional<T>();
        return json.as<T>().transform([](T value) { return std::optional<T>(std::move(value)); });
    }
};

template <class T> struct Reader<std::vector<T>> {
    static Result<std::vector<T>> read(const Json &json) {
        if (!json.is_array()) return std::unexpected(json.wrong("an array"));
        std::vector<T> all;
        all.reserve(json.size());
        for (const Json item : json.items()) {
            Result<T> one = item.as<T>();
            if (!one) return std::unexpected(std::move(one).error());
            all.push_back(*std::move(one));
        }
        return all;
    }
};

}  // namespace detail

/// One name and value of an object that is to be written: `{"sensor", sensor}`. A view, for the
/// expression in which it stands.
class Member;

/// An object that is to be written: `{{"sensor", sensor}, {"celsius", 12.5}}`.
using Members = std::initializer_list<Member>;

/// A JSON text as it is being written. Commas are its own business.
///
/// A type of yours is written by a function `void write_json(weir::JsonWriter &, const Yours &)`
/// beside it.
class JsonWriter {
   public:
    JsonWriter &begin_object() { return weir_begin_object(&writer_), *this; }
    JsonWriter &end_object() { return weir_end_object(&writer_), *this; }
    JsonWriter &begin_array() { return weir_begin_array(&writer_), *this; }
    JsonWriter &end_array() { return weir_end_array(&writer_), *this; }

    /// The name of the member whose value is written next.
    JsonWriter &name(std::string_view name) { return weir_write_name_text(&writer_, text(name)), *this; }

    /// A member of an object.
    template <class T> JsonWriter &member(std::string_view name, const T &value) {
        return this->name(name).value(value);
    }

    /// An object with these members.
    inline JsonWriter &object(Members members);

    /// A value: `nullptr`, a boolean, a number, text, a `Json`, a `std::optional` (`null` where it is
    /// empty), a range of these, or what has a `write_json` of its own.
    template <class T> JsonWriter &value(const T &value) {
        if constexpr (requires { write_json(*this, value); }) {
            write_json(*this, value);
        } else if constexpr (std::same_as<T, std::nullptr_t>) {
            weir_write_null(&writer_);
        } else if constexpr (std::same_as<T, bool>) {
            weir_write_bool(&writer_, value);
        } else if constexpr (std::signed_integral<T>) {
            weir_write_int(&writer_, value);
        } else if constexpr (std::unsigned_integral<T>) {
            weir_write_uint(&writer_, value);
        } else if constexpr (std::floating_point<T>) {
            weir_write_double(&writer_, value);
        } else if constexpr (std::convertible_to<T, std::string_view>) {
            weir_write_text(&writer_, text(value));
        } else if constexpr (std::same_as<T, Json>) {
            value.exists() ? weir_write_value(&writer_, value.get()) : weir_write_null(&writer_);
        } else if constexpr (requires { value.has_value(), *value; }) {
            value.has_value() ? this->value(*value) : this->value(nullptr);
        } else {
            static_assert(std::ranges::range<const T>, "there is no `write_json` for this type");
            begin_array();
            for (const auto &item : value) this->value(item);
            end_array();
        }
        return *this;
    }

    /// What was written so far.
    [[nodiscard]] std::string_view view() const { return {writer_.data, writer_.size}; }
    [[nodiscard]] const weir_writer *get() const { return &writer_; }

   private:
    weir_writer writer_ = weir_write_json();
};

class Member {
   public:
    template <class T>
    Member(std::string_view name, const T &value)
        : name_(name), value_(&value), write_([](JsonWriter &json, const void *value) {
              json.value(*static_cast<const T *>(value));
          }) {}
    Member(std::string_view name, const Members &object)
        : name_(name), value_(&object), write_([](JsonWriter &json, const void *object) {
              json.object(*static_cast<const Members *>(object));
          }) {}

    void write(JsonWriter &json) const { write_(json.name(name_), value_); }

   private:
    std::string_view name_;
    const void *value_;
    void (*write_)(JsonWriter &, const void *);
};

inline JsonWriter &JsonWriter::object(Members members) {
    begin_object();
    for (const Member &member : members) member.write(*this);
    return end_object();
}

}  // namespace weir
#endif
