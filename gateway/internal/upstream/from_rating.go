package upstream

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// Rating returns the connection to the rating service.
func Rating(conn grpc.ClientConnInterface) grpc.ClientConnInterface {
	return errorNaming{conn, "rating"}
}

// RatingService describes the rating service.
func RatingService() protoreflect.ServiceDescriptor {
	return ratingv1.File_movieexample_rating_v1_rating_proto.Services().ByName("RatingService")
}
