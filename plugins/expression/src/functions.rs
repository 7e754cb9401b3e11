//! What expressions can call and calculate with: the tables from which names are checked, suggestions are made, and
//! `docs/expressions.md` is written.
//!
//! An expression can call nothing that is not in them, so the page cannot miss anything; a test evaluates each example.

/// A function or a macro.
pub struct Function {
    /// As it is called; with its namespace, as in `math.round`.
    pub name: &'static str,
    /// Each way to call it, with names for what it takes. `text.trim()` is called on something, `size(list)` is not.
    pub forms: &'static [&'static str],
    /// One sentence without a full stop.
    pub what: &'static str,
    pub example: &'static str,
    /// The value of the example, as JSON.
    pub value: &'static str,
}

/// An operator, with an example and its value as JSON.
pub struct Sign {
    pub sign: &'static str,
    pub what: &'static str,
    pub example: &'static str,
    pub value: &'static str,
}

/// Functions of one kind.
pub struct Group {
    pub title: &'static str,
    pub functions: &'static [Function],
}

macro_rules! signs {
    ($($sign:literal $what:literal $example:literal => $value:literal;)*) => {
        &[$(Sign { sign: $sign, what: $what, example: $example, value: $value }),*]
    };
}

macro_rules! functions {
    ($($name:literal $forms:tt $what:literal $example:literal => $value:literal;)*) => {
        &[$(Function { name: $name, forms: &$forms, what: $what, example: $example, value: $value }),*]
    };
}

pub const SIGNS: &[Sign] = signs! {
    "+" "adds numbers; joins texts and lists" "'a' + 'b'" => r#""ab""#;
    "-" "subtracts; before one number: the opposite" "5 - 7" => "-2";
    "*" "multiplies" "2.5 * 2.0" => "5.0";
    "/" "divides; whole numbers without the rest" "7 / 2" => "3";
    "%" "the rest of a division of whole numbers" "7 % 2" => "1";
    "==" "equal" "1 == 1.0" => "true";
    "!=" "not equal" "'a' != 'b'" => "true";
    "<" "less; texts by their characters" "1 < 2" => "true";
    "<=" "less or equal" "2 <= 2" => "true";
    ">" "greater" "2.5 > 2" => "true";
    ">=" "greater or equal" "1 >= 2" => "false";
    "&&" "and; the second is not computed if the first is false" "true && false" => "false";
    "||" "or; the second is not computed if the first is true" "true || false" => "true";
    "!" "not" "!true" => "false";
    "? :" "one of two values, by a condition" "2 > 1 ? 'yes' : 'no'" => r#""yes""#;
    "in" "whether a list has an element, or an object a field" "'b' in ['a', 'b']" => "true";
    "." "a field of an object" "{'a': 1}.a" => "1";
    "[]" "an element of a list, from 0; a field whose name is no word" "[7, 8][1]" => "8";
    ".?" "a field that may be missing, for `orValue` and `hasValue`" "{'a': 1}.?b.orValue(0)" => "0";
    "[?]" "an element or a field that may be missing" "[7][?1].orValue(0)" => "0";
    "[ , ]" "a list" "[1, 'a']" => r#"[1,"a"]"#;
    "{ : }" "an object" "{'a': 1}" => r#"{"a":1}"#;
};

pub const GROUPS: &[Group] = &[
    Group {
        title: "Fields, lists and objects",
        functions: functions! {
        "has" ["has(object.field)"] "whether there is a field" "has({'a': 1}.b)" => "false";
        "size" ["size(value)", "value.size()"] "characters of a text, elements of a list, fields of an object" "[7, 8].size()" => "2";
        "all" ["list.all(name, condition)"] "whether a condition holds for every element" "[1, 2].all(x, x > 1)" => "false";
        "exists" ["list.exists(name, condition)"] "whether a condition holds for an element" "[1, 2].exists(x, x > 1)" => "true";
        "exists_one" ["list.exists_one(name, condition)"] "whether a condition holds for exactly one element" "[1, 2].exists_one(x, x > 1)" => "true";
        "filter" ["list.filter(name, condition)"] "the elements for which a condition holds" "[1, 2, 3].filter(x, x > 1)" => "[2,3]";
        "map" ["list.map(name, value)", "list.map(name, condition, value)"] "a value of each element" "[1, 2].map(x, x * 10)" => "[10,20]";
        "distinct" ["list.distinct()"] "each element once" "[1, 2, 1].distinct()" => "[1,2]";
        "flatten" ["list.flatten()", "list.flatten(depth)"] "the elements of the lists in a list" "[[1], [2, 3]].flatten()" => "[1,2,3]";
        "reverse" ["value.reverse()"] "a list or a text from its end to its beginning" "[1, 2].reverse()" => "[2,1]";
        "slice" ["list.slice(start, end)"] "the elements from `start` to before `end`" "[1, 2, 3].slice(0, 2)" => "[1,2]";
        "sort" ["list.sort()"] "numbers or texts in their order" "[2, 1].sort()" => "[1,2]";
        "sortBy" ["list.sortBy(name, value)"] "the elements in the order of a value of each" "[-3, 2].sortBy(x, math.abs(x))" => "[2,-3]";
        "lists.range" ["lists.range(number)"] "the whole numbers from 0 to before `number`" "lists.range(3)" => "[0,1,2]";
        },
    },
    Group {
        title: "Text",
        functions: functions! {
        "contains" ["text.contains(part)"] "whether a text is in it" "'paid'.contains('ai')" => "true";
        "startsWith" ["text.startsWith(part)"] "whether it begins with a text" "'paid'.startsWith('pa')" => "true";
        "endsWith" ["text.endsWith(part)"] "whether it ends with a text" "'paid'.endsWith('id')" => "true";
        "matches" ["text.matches(pattern)", "matches(text, pattern)"] "whether a part of it matches a regular expression, in RE2's syntax without Unicode classes" "'a-17'.matches('^[a-z]-[0-9]+$')" => "true";
        "lowerAscii" ["text.lowerAscii()"] "`A` to `Z` in lower case" "'DE'.lowerAscii()" => r#""de""#;
        "upperAscii" ["text.upperAscii()"] "`a` to `z` in upper case" "'de'.upperAscii()" => r#""DE""#;
        "trim" ["text.trim()"] "without white space at both ends" "' a '.trim()" => r#""a""#;
        "substring" ["text.substring(start)", "text.substring(start, end)"] "the characters from `start`, counted from 0, to before `end`" "'order-17'.substring(0, 5)" => r#""order""#;
        "charAt" ["text.charAt(index)"] "one character" "'abc'.charAt(1)" => r#""b""#;
        "indexOf" ["text.indexOf(part)", "text.indexOf(part, start)"] "where a text is first, or -1" "'a-b-c'.indexOf('-')" => "1";
        "lastIndexOf" ["text.lastIndexOf(part)", "text.lastIndexOf(part, end)"] "where a text is last, or -1" "'a-b-c'.lastIndexOf('-')" => "3";
        "replace" ["text.replace(old, new)", "text.replace(old, new, times)"] "with a text in the place of another" "'a-b'.replace('-', '_')" => r#""a_b""#;
        "split" ["text.split(separator)", "text.split(separator, parts)"] "the parts between separators" "'a,b'.split(',')" => r#"["a","b"]"#;
        "join" ["list.join()", "list.join(separator)"] "one text of a list of texts" "['a', 'b'].join('-')" => r#""a-b""#;
        "format" ["text.format(list)"] "with values in the places of `%s`, `%d`, `%.2f`, `%x` and more" "'%s: %.2f'.format(['a', 1.5])" => r#""a: 1.50""#;
        "strings.quote" ["strings.quote(text)"] "between quotes, with `\\` before what needs it" "strings.quote('a')" => r#""\"a\"""#;
        },
    },
    Group {
        title: "Numbers",
        functions: functions! {
        "math.round" ["math.round(number)", "math.round(number, digits)"] "rounded, to so many digits behind the point; a half goes away from zero" "math.round(2.345, 1)" => "2.3";
        "math.floor" ["math.floor(number)"] "the next whole number below" "math.floor(2.7)" => "2.0";
        "math.ceil" ["math.ceil(number)"] "the next whole number above" "math.ceil(2.1)" => "3.0";
        "math.trunc" ["math.trunc(number)"] "without what is behind the point" "math.trunc(-2.7)" => "-2.0";
        "math.abs" ["math.abs(number)"] "without its sign" "math.abs(-3)" => "3";
        "math.sign" ["math.sign(number)"] "-1, 0 or 1" "math.sign(-3)" => "-1";
        "math.greatest" ["math.greatest(list)", "math.greatest(number, number, ...)"] "the greatest" "math.greatest(1, 2.5)" => "2.5";
        "math.least" ["math.least(list)", "math.least(number, number, ...)"] "the least" "math.least([3, 1, 2])" => "1";
        "math.sqrt" ["math.sqrt(number)"] "the square root" "math.sqrt(9)" => "3.0";
        "math.isNaN" ["math.isNaN(number)"] "whether it is no number, as the root of -1" "math.isNaN(math.sqrt(-1))" => "true";
        "math.isInf" ["math.isInf(number)"] "whether it is infinite" "math.isInf(1.0 / 0.0)" => "true";
        "math.isFinite" ["math.isFinite(number)"] "whether it is neither" "math.isFinite(1.5)" => "true";
        "math.bitAnd" ["math.bitAnd(number, number)"] "the bits that both have" "math.bitAnd(6, 3)" => "2";
        "math.bitOr" ["math.bitOr(number, number)"] "the bits that one of them has" "math.bitOr(6, 3)" => "7";
        "math.bitXor" ["math.bitXor(number, number)"] "the bits that only one of them has" "math.bitXor(6, 3)" => "5";
        "math.bitNot" ["math.bitNot(number)"] "all bits inverted" "math.bitNot(0)" => "-1";
        "math.bitShiftLeft" ["math.bitShiftLeft(number, bits)"] "moved to the left" "math.bitShiftLeft(1, 4)" => "16";
        "math.bitShiftRight" ["math.bitShiftRight(number, bits)"] "moved to the right" "math.bitShiftRight(16, 4)" => "1";
        },
    },
    Group {
        title: "Conversions and types",
        functions: functions! {
        "string" ["string(value)"] "a number, a boolean or bytes as text" "string(17)" => r#""17""#;
        "int" ["int(value)"] "a text or a number as whole number, without what is behind the point" "int('17')" => "17";
        "double" ["double(value)"] "a text or a number as decimal number" "double('1.5')" => "1.5";
        "uint" ["uint(value)"] "a text or a number as whole number without a sign" "uint('7')" => "7";
        "bool" ["bool(value)"] "the text `true` or `false` as boolean" "bool('true')" => "true";
        "bytes" ["bytes(text)"] "the bytes of a text; a result is written in Base64" "bytes('a')" => r#""YQ==""#;
        "dyn" ["dyn(value)"] "the value itself" "dyn(1)" => "1";
        "type" ["type(value)"] "the type: `bool`, `int`, `uint`, `double`, `string`, `bytes`, `list`, `map`, `null_type`" "type(1.5) == double" => "true";
        },
    },
    Group {
        title: "Values that may be missing",
        functions: functions! {
        "orValue" ["optional.orValue(value)"] "the value, or another if there is none" "{'a': 1}.?b.orValue(0)" => "0";
        "hasValue" ["optional.hasValue()"] "whether there is a value" "{'a': 1}.?a.hasValue()" => "true";
        "or" ["optional.or(optional)"] "the first of two that has a value" "{'a': 1}.?b.or({'a': 1}.?a).value()" => "1";
        "value" ["optional.value()"] "the value; an error if there is none" "{'a': 1}.?a.value()" => "1";
        "optional.of" ["optional.of(value)"] "one with a value" "optional.of(1).value()" => "1";
        "optional.ofNonZeroValue" ["optional.ofNonZeroValue(value)"] "one with a value, unless that is 0, empty, `false` or `null`" "optional.ofNonZeroValue('').orValue('none')" => r#""none""#;
        "optional.none" ["optional.none()"] "one without a value" "optional.none().hasValue()" => "false";
        },
    },
];

/// All functions, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().flat_map(|group| group.functions)
}

/// The namespaces of functions.
pub fn is_namespace(name: &str) -> bool {
    let namespaces = all().filter_map(|function| function.name.split_once('.'));
    namespaces
        .into_iter()
        .any(|(namespace, _)| namespace == name)
}

impl Function {
    /// Whether it can be called like this: on something or not, with so many arguments.
    pub fn takes(&self, is_member: bool, arguments: usize) -> bool {
        let fits = |form: &&str| {
            let inside = form[form.find('(').unwrap_or_default()..].trim_matches(['(', ')']);
            let takes = inside.split(", ").filter(|name| !name.is_empty()).count();
            let has_target = !form.starts_with(&format!("{}(", self.name));
            has_target == is_member && takes == arguments
        };
        self.forms.iter().any(fits)
    }

    /// How it is called: `` `text.indexOf(part)` or `text.indexOf(part, start)` ``.
    pub fn call(&self) -> String {
        let forms: Vec<_> = self.forms.iter().map(|form| format!("`{form}`")).collect();
        forms.join(" or ")
    }
}

/// What other languages call so.
const ELSEWHERE: &[(&str, &str)] = &[
    ("any", "exists"),
    ("beginsWith", "startsWith"),
    ("count", "size"),
    ("float", "double"),
    ("includes", "contains"),
    ("len", "size"),
    ("length", "size"),
    ("lower", "lowerAscii"),
    ("lowercase", "lowerAscii"),
    ("max", "math.greatest"),
    ("min", "math.least"),
    ("number", "double"),
    ("str", "string"),
    ("strip", "trim"),
    ("substr", "substring"),
    ("toLower", "lowerAscii"),
    ("toLowerCase", "lowerAscii"),
    ("toString", "string"),
    ("toUpper", "upperAscii"),
    ("toUpperCase", "upperAscii"),
    ("upper", "upperAscii"),
    ("uppercase", "upperAscii"),
];

/// The function that is meant by a name that none has.
pub fn meant(name: &str) -> Option<&'static Function> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == last);
    let name = match elsewhere {
        Some((_, ours)) => ours,
        None => nearest(name, all().map(|function| function.name))?,
    };
    all().find(|function| function.name == name)
}

/// The name that is meant, if one is near.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let last = |known: &str| known.rsplit('.').next().unwrap_or_default().to_lowercase();
    let wanted = last(name);
    let near = known.map(|known| (distance(&wanted, &last(known)), known));
    let near = near.min_by_key(|(distance, _)| *distance)?;
    (near.0 <= 1 + wanted.chars().count() / 4).then_some(near.1)
}

/// How many characters are inserted, removed, replaced or exchanged with the next between two words.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}
