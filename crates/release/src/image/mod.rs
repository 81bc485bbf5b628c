//! `stoke image build`: a directory of code becomes an image, the same bits each time.
