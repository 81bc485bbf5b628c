# Makes a database in Hive's metastore over Thrift, as a client does: a call of create_database with its name; then asks for all databases.
exec 3<>"/dev/tcp/$POD_IP/9083"
printf '\x80\x01\x00\x01\x00\x00\x00\x0fcreate_database\x00\x00\x00\x01\x0c\x00\x01\x0b\x00\x01\x00\x00\x00\x04teas\x00\x00' >&3
timeout 10 cat <&3 | od -An -c
