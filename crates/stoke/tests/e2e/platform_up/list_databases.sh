# All databases of Hive's metastore, as text.
exec 3<>"/dev/tcp/$POD_IP/9083"
printf '\x80\x01\x00\x01\x00\x00\x00\x11get_all_databases\x00\x00\x00\x01\x00' >&3
timeout 5 cat <&3 | tr -cd 'a-z_ '
