// Command minio-go takes one bucket through its life with the Go library for MinIO, which signs every chunk of an upload
// when it does not talk TLS:
//
//	minio-go URL ACCESS-KEY SECRET-KEY v2|v4|v4-trailer BUCKET FILE
//
// It prints "done", or the status and code of the first refusal with exit status 1.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

func caller(url, access, secret, how string) (*minio.Client, error) {
	signing := credentials.NewStaticV4(access, secret, "")
	if how == "v2" {
		signing = credentials.NewStaticV2(access, secret, "")
	}
	scheme, host, _ := strings.Cut(url, "://")
	return minio.New(host, &minio.Options{
		Creds: signing, Secure: scheme == "https", Region: "us-east-1", BucketLookup: minio.BucketLookupPath, MaxRetries: 1, TrailingHeaders: how == "v4-trailer",
	})
}

// life creates, writes, reads, compares and removes.
func life(s3 *minio.Client, bucket string, data []byte) error {
	ctx := context.Background()
	if err := s3.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: "us-east-1"}); err != nil {
		return err
	}
	// In one request, and in parts.
	for key, part := range map[string]uint64{"whole/ü +.bin": 64 << 20, "parts": 5 << 20} {
		options := minio.PutObjectOptions{ContentType: "text/plain", PartSize: part, UserMetadata: map[string]string{"note": "two   spaces"}}
		if _, err := s3.PutObject(ctx, bucket, key, bytes.NewReader(data), int64(len(data)), options); err != nil {
			return err
		}
		object, err := s3.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		read, err := io.ReadAll(object)
		if err != nil {
			return err
		}
		if !bytes.Equal(read, data) {
			return fmt.Errorf("%s: other bytes came back", key)
		}
		if err := s3.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return s3.RemoveBucket(ctx, bucket)
}

func run(arguments []string) error {
	data, err := os.ReadFile(arguments[5])
	if err != nil {
		return err
	}
	s3, err := caller(arguments[0], arguments[1], arguments[2], arguments[3])
	if err != nil {
		return err
	}
	return life(s3, arguments[4], data)
}

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: minio-go URL ACCESS-KEY SECRET-KEY v2|v4|v4-trailer BUCKET FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		var refused minio.ErrorResponse
		if errors.As(err, &refused) {
			fmt.Printf("%d %s\n", refused.StatusCode, refused.Code)
		} else {
			fmt.Println(err)
		}
		os.Exit(1)
	}
	fmt.Println("done")
}
