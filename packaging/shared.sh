# shellcheck shell=sh
# For the scripts of both kinds of package, and for packaging/run.

# Makes the user roost, as whom the process runs that talks to clients before login: a system user who
# cannot log in, owns nothing, and stays when the package goes, so that nobody else gets this uid.
make_user() {
    if getent passwd roost >/dev/null; then
        return 0
    elif command -v systemd-sysusers >/dev/null; then
        systemd-sysusers "$1"
    elif command -v adduser >/dev/null && [ -e /etc/adduser.conf ]; then
        adduser --system --group --quiet --no-create-home --home /nonexistent \
            --gecos "Roost IMAP server" roost
    else
        useradd --system --user-group --no-create-home --home-dir /nonexistent \
            --shell /usr/sbin/nologin --comment "Roost IMAP server" roost
    fi
}

# Another server, if there is one: $holder, and what is known of it.
other_server() {
    port_holder
    [ -n "$holder" ] || enabled_server
}

# Who listens on the ports of IMAP: $holder (a name; empty if nobody does), $port, $pid, $its_unit.
# From /proc, for there need be no tool. (No percent signs here: rpm would take them for its own.)
port_holder() {
    holder='' pid='' its_unit=''
    for port in 143 993; do
        case $port in 143) hex=:008F ;; 993) hex=:03E1 ;; esac
        # 0A: listening
        inode=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
            awk -v hex="$hex" '$4 == "0A" && substr($2, length($2) - 4) == hex { print $10; exit }')
        [ -n "$inode" ] || continue
        holder='another program'
        pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n 1 | cut -d / -f 3)
        [ -n "$pid" ] || return 0
        holder=$(cat "/proc/$pid/comm" 2>/dev/null || echo "$holder")
        its_unit=$(sed -n 's/.*\/\([^/]*\.service\)\(\/.*\)*$/\1/p' "/proc/$pid/cgroup" 2>/dev/null |
            head -n 1)
        return 0
    done
}

# Another IMAP server that is enabled but does not run now: $holder and $its_unit (empty if there is
# none). An upgrade of the host may have left it so. Its mail may be where Roost does not look, and
# clients that find nothing would believe it.
enabled_server() {
    holder='' pid='' port='' its_unit=''
    for unit in dovecot.service dovecot.socket courier-imap.service courier-imap-ssl.service \
        cyrus-imapd.service cyrus-imap.service; do
        is_enabled "$unit" || continue
        # One that runs, and has neither port, serves something else.
        if [ -d /run/systemd/system ] && systemctl --quiet is-active "$unit"; then
            continue
        fi
        its_unit="${its_unit:+$its_unit }$unit"
    done
    holder=$its_unit
}

is_enabled() {
    if command -v systemctl >/dev/null; then
        case $(systemctl is-enabled "$1" 2>/dev/null || true) in
            enabled | enabled-runtime | linked | linked-runtime | alias) return 0 ;;
            *) return 1 ;;
        esac
    fi
    for link in "/etc/systemd/system/"*.wants/"$1" /etc/rc[2345].d/S[0-9][0-9]"$(basename "$1" .service)"; do
        [ ! -e "$link" ] || return 0
    done
    return 1
}

how_to_go_over() {
    if [ -n "$port" ]; then
        echo "roost: $holder${pid:+ (process $pid)} listens on port $port, so Roost is installed but neither"
    else
        echo "roost: $its_unit: enabled, though not running now, so Roost is installed but neither"
    fi
    echo "roost: started nor enabled. Nothing of the other server was touched. Both can read and write"
    echo "roost: the same Maildirs; only the ports cannot be shared. To go over to Roost:"
    case $its_unit in
        '')
            if [ "$pid" = 1 ]; then
                echo "roost:     systemctl disable --now the socket unit that \"systemctl list-sockets\" shows"
            else
                echo "roost:     stop $holder, and see that it is not started again"
            fi
            ;;
        dovecot.service | dovecot.socket) echo "roost:     systemctl disable --now dovecot.socket dovecot.service" ;;
        *) echo "roost:     systemctl disable --now $its_unit" ;;
    esac
    echo "roost:     systemctl enable --now roost.service"
    echo "roost: And to go back:"
    echo "roost:     systemctl disable --now roost.service"
    case $its_unit in
        '') echo "roost:     start again what you stopped" ;;
        *) echo "roost:     systemctl enable --now $its_unit" ;;
    esac
    case $its_unit in
        dovecot.service | dovecot.socket)
            echo "roost: If Dovecot does more than IMAP, take imap out of its protocols instead, and:"
            echo "roost:     systemctl reload dovecot && systemctl enable --now roost"
            ;;
    esac
    echo "roost: First read roost-migrate(7): it makes a roost.toml of the other server's configuration, so"
    echo "roost: that clients download nothing again, and says what to do about Postfix."
}
