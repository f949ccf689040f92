# The base set in Perl, with libfcgi: the address and the number of processes are the arguments.
use strict;
use warnings;
use FCGI;

my ( $address, $processes ) = @ARGV;
my $socket = FCGI::OpenSocket( $address, 100 ) or die "cannot listen on $address";
for ( 2 .. $processes ) {
    my $child = fork;
    die 'cannot fork' unless defined $child;
    last if $child == 0;
}

my %environment;
my $request = FCGI::Request( \*STDIN, \*STDOUT, \*STDERR, \%environment, $socket );
while ( $request->Accept >= 0 ) {
    my $query = $environment{QUERY_STRING};
    if ( $query eq 'big' )      { print "Content-Type: text/plain\r\n\r\n", '0123456789abcdef' x 65536; next }
    if ( $query eq 'status' )   { print "Status: 418 Teapot\r\nX-A: 1\r\nX-A: 2\r\n\r\ntea"; next }
    if ( $query eq 'location' ) { print "Location: /elsewhere\r\n\r\n"; next }
    if ( $query eq 'stderr' )   { print STDERR "a note of the application\n"; print "\r\nnoted"; next }
    my $content = '';
    while ( read STDIN, my $part, 65536 ) { $content .= $part }
    my @names = qw(REQUEST_METHOD QUERY_STRING PATH_INFO CONTENT_LENGTH HTTP_X_FIELD);
    print "Content-Type: text/plain\r\n\r\n";
    print map { "$_=" . ( $environment{$_} // '' ) . "\n" } @names;
    print 'content=', length $content, ' ', substr( $content, 0, 5 ), "\n";
}
