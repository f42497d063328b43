#!/bin/sh
# The session of psql.sql, with both of psql's streams in their order. Each paragraph is a step, named by its first line. The
# port and the time of day are masked.
#
#     psql_session.sh PSQL PORT
set -eu
awk -v RS= '{
    name = $0
    sub(/\n.*/, "", name)
    gsub(/\047/, "\"", name)
    gsub(/\\/, "\\\\\\\\", name)
    print "\\echo \047@@ " name "\047"
    print
}' "$(dirname "$0")/psql.sql" |
    "$1" -X -h 127.0.0.1 -p "$2" -U postgres -d postgres 2>&1 |
    sed -E -e 's/at port "[0-9]+"/at port "PORT"/' -e 's/[0-9-]{10} [0-9:]{8}\.[0-9]+\+00/NOW/g'
