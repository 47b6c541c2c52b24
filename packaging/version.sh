# shellcheck shell=sh disable=SC2034,SC2154
# What both kinds of package say of themselves; $top is the source tree.

# 1.0.0-rc.1 comes before 1.0.0: both kinds of package write that with a tilde.
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$top/Cargo.toml" | tr - '~')
maintainer="The Roost authors"
address=roost@users.noreply.example

# The time of the source, not of the build, is on every file: the same source makes the same package.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$top" log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(stat -c %Y "$top/Cargo.toml")
fi
export SOURCE_DATE_EPOCH
